// What the verifiers refuse of products with codes.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expects codes of 1 to 8 bits, got 9}}
func.func private @bits() attributes {a = #mpgemm.affine<bits = 9, zero = 0>}

// -----

// expected-error @below {{expects a zero point in [0, 16), got 16}}
func.func private @zero() attributes {a = #mpgemm.affine<bits = 4, zero = 16>}

// -----

// expected-error @below {{expects codes below 4, got 5}}
func.func private @below() attributes {a = #mpgemm.affine<bits = 2, zero = 1, below = 5>}

// -----

// expected-error @below {{expects 4 values, got 3}}
func.func private @values() attributes {a = #mpgemm.codebook<bits = 2, values = [0.0, 1.0, 2.0]>}

// -----

// expected-error @below {{expects 1 to 1024 rows, got 0}}
func.func private @layout() attributes {a = #mpgemm.layout<rows = 0>}

// -----

// expected-error @below {{expects a depth of 4, or of 1 and rows by twos, got 15 rows of depth 1}}
func.func private @depth() attributes {a = #mpgemm.layout<rows = 15, depth = 1>}

// -----

// expected-error @below {{expects a depth of 4 and rows by fours where rows share bytes, got 18 rows of depth 4}}
func.func private @shared_bytes() attributes {a = #mpgemm.layout<rows = 18, rowsShareBytes = true>}

// -----

func.func @x_rank(%x: tensor<2x128xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects x of rank 3, or tables of rank 4, got 'tensor<2x128xf32>'}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x128xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @codes(%x: tensor<2x4x32xf32>, %w: tensor<40x4x31xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codes of shape [40, 4, 32], got 'tensor<40x4x31xi8>'}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x31xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @scales(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x8xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects scales of shape [40, 4], got 'tensor<40x8xf32>'}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x8xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @zeros(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %z: tensor<40x4xi32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects zeros of floats or in bytes, got 'tensor<40x4xi32>'}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) zeros(%z : tensor<40x4xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @sums(%x: tensor<2x4x32xi8>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects sums of x where, and only where, x is integers, and scales of x only with scales of codes}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xi8>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

// expected-error @below {{expects 1 to 8 planes, got 0}}
func.func private @no_planes() attributes {a = #mpgemm.binary<planes = 0>}

// -----

// expected-error @below {{expects a trellis of 2 to 4 bits, got 5}}
func.func private @trellis() attributes {a = #mpgemm.trellis<bits = 5>}

// -----

// expected-error @below {{expects codes of vectors of 4 to 8 bits, got 3}}
func.func private @bits_of_vectors() attributes {a = #mpgemm.vectors<bits = 3, size = 4, books = 1>}

// -----

// expected-error @below {{expects vectors of 2, 4 or 8 numbers, got 6}}
func.func private @size_of_vectors() attributes {a = #mpgemm.vectors<bits = 8, size = 6, books = 1>}

// -----

// expected-error @below {{expects 1, 2 or 4 codebooks, and no more than numbers of a vector, got 4}}
func.func private @books_of_vectors() attributes {a = #mpgemm.vectors<bits = 8, size = 2, books = 4>}

// -----

func.func @no_codebook(%x: tensor<2x4x32xf32>, %w: tensor<40x4x8xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects a codebook where, and only where, codes stand for vectors, got #mpgemm.vectors<bits = 8, size = 8, books = 2>}}
  mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x8xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @size_of_codebook(%x: tensor<2x4x32xf32>, %w: tensor<40x4x8xi8>, %s: tensor<40x4xf32>, %b: tensor<2x8x16xi8>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codebook of shape [2, 8, 256], got 'tensor<2x8x16xi8>'}}
  mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x8xi8>)
      scales(%s : tensor<40x4xf32>) codebook(%b : tensor<2x8x16xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @groups_of_vectors(%x: tensor<2x4x48xf32>, %w: tensor<40x4x12xi8>, %s: tensor<40x4xf32>, %b: tensor<2x8x256xi8>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects groups of a multiple of 32 numbers with format #mpgemm.vectors<bits = 8, size = 8, books = 2>, got x of 'tensor<2x4x48xf32>'}}
  mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> x(%x : tensor<2x4x48xf32>) codes(%w : tensor<40x4x12xi8>)
      scales(%s : tensor<40x4xf32>) codebook(%b : tensor<2x8x256xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @codes_of_vectors(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %b: tensor<2x8x256xi8>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codes of shape [40, 4, 8], got 'tensor<40x4x32xi8>'}}
  mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) codebook(%b : tensor<2x8x256xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @gather_vectors(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x8xi8>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects a format whose codes each stand for a number, got #mpgemm.vectors<bits = 8, size = 8, books = 2>}}
  mpgemm.gather_matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x8xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @groups_of_planes(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codes of shape [40, 12, 32], got 'tensor<40x4x32xi8>'}}
  mpgemm.matmul #mpgemm.binary<planes = 3> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @zeros_of_planes(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects no zeros with format #mpgemm.binary<planes = 1>}}
  mpgemm.matmul #mpgemm.binary<planes = 1> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) zeros(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @integers_of_codebook(%x: tensor<2x4x32xi8>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>,
                                %xs: tensor<2x4xf32>, %sums: tensor<2x4xi32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects x of floats with format #mpgemm.codebook<bits = 1, values = [-1.000000e+00, 5.000000e-01]>}}
  mpgemm.matmul #mpgemm.codebook<bits = 1, values = [-1.0, 0.5]> x(%x : tensor<2x4x32xi8>)
      codes(%w : tensor<40x4x32xi8>) scales(%s : tensor<40x4xf32>) xscales(%xs : tensor<2x4xf32>)
      xsums(%sums : tensor<2x4xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @overflow(%x: tensor<2x1x70000xi8>, %w: tensor<40x1x70000xi8>, %s: tensor<40x1xf32>,
                    %xs: tensor<2x1xf32>, %sums: tensor<2x1xi32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects groups whose sums fit 32 bits, got 70000 codes of 8 bits}}
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> x(%x : tensor<2x1x70000xi8>)
      codes(%w : tensor<40x1x70000xi8>) scales(%s : tensor<40x1xf32>) xscales(%xs : tensor<2x1xf32>)
      xsums(%sums : tensor<2x1xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @planes(%x: tensor<2x4x32xf32>, %w: tensor<2x16x1x128xi8>, %s: tensor<2x4x32xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codes of shape [2, 4, 3, 128], got 'tensor<2x16x1x128xi8>'}}
  mpgemm.matmul #mpgemm.affine<bits = 3, zero = 0> layout <rows = 32> x(%x : tensor<2x4x32xf32>)
      codes(%w : tensor<2x16x1x128xi8>) scales(%s : tensor<2x4x32xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @quantized(%x: tensor<2x4x32xf32>) {
  // expected-error @below {{expects sums of shape [2, 4], got 'tensor<2x3xi32>'}}
  mpgemm.quantize_act %x : tensor<2x4x32xf32> -> tensor<2x4x32xi8>, tensor<2x4xf32>, tensor<2x3xi32>
  return
}

// -----

func.func @chunks(%x: tensor<2x4x20xf32>, %w: tensor<2x3x1x64xi8>, %s: tensor<2x4x16xf32>, %e: tensor<2x20xf32>) {
  // expected-error @below {{expects a layout of groups of whole chunks, or chunks of whole groups, got groups of 20 codes and chunks of 32}}
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> layout <rows = 16> x(%x : tensor<2x4x20xf32>)
      codes(%w : tensor<2x3x1x64xi8>) scales(%s : tensor<2x4x16xf32>) outs(%e : tensor<2x20xf32>) -> tensor<2x20xf32>
  return
}

// -----

func.func @shared_bytes_of_bits(%x: tensor<2x1x32xf32>, %w: tensor<1x4x1x64xi8>, %s: tensor<1x1x16xf32>, %e: tensor<2x16xf32>) {
  // expected-error @below {{expects codes of 2 or 4 bits where rows share bytes, got 1}}
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> layout <rows = 16, rowsShareBytes = true> x(%x : tensor<2x1x32xf32>)
      codes(%w : tensor<1x4x1x64xi8>) scales(%s : tensor<1x1x16xf32>) outs(%e : tensor<2x16xf32>) -> tensor<2x16xf32>
  return
}

// -----

func.func @unscaled_groups(%x: tensor<2x4x32xi8>, %w: tensor<40x4x32xi8>, %sums: tensor<2x4xi32>, %e: tensor<2x40xi32>) {
  // expected-error @below {{expects scales unless all is integers, in one group}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xi8>) codes(%w : tensor<40x4x32xi8>)
      xsums(%sums : tensor<2x4xi32>) outs(%e : tensor<2x40xi32>) -> tensor<2x40xi32>
  return
}

// -----

func.func @unscaled_result(%x: tensor<2x1x32xi8>, %w: tensor<40x1x32xi8>, %sums: tensor<2x1xi32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects a result of i32 without scales, got 'tensor<2x40xf32>'}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x1x32xi8>) codes(%w : tensor<40x1x32xi8>)
      xsums(%sums : tensor<2x1xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @tables_without_layout(%t: tensor<2x4x2x64xi8>, %a: tensor<2x4xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects tables with a layout of codes of 1, 2 or 4 bits, got x of 'tensor<2x4x2x64xi8>'}}
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> x(%t : tensor<2x4x2x64xi8>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) xscales(%a : tensor<2x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @tables_of_other_depth(%t: tensor<2x4x2x16xi8>, %a: tensor<2x4xf32>, %w: tensor<1x4x1x256xi8>, %s: tensor<1x4x64xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects tables of 64 bytes, got x of 'tensor<2x4x2x16xi8>'}}
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> layout <rows = 64> x(%t : tensor<2x4x2x16xi8>) codes(%w : tensor<1x4x1x256xi8>)
      scales(%s : tensor<1x4x64xf32>) xscales(%a : tensor<2x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @tables_of_shared_bytes(%t: tensor<2x4x2x64xi8>, %a: tensor<2x4xf32>, %w: tensor<1x32x1x32xi8>, %s: tensor<1x4x16xf32>, %e: tensor<2x16xf32>) {
  // expected-error @below {{expects tables with a layout whose bytes have codes of one row, got #mpgemm.layout<rows = 16, rowsShareBytes = true>}}
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 0> layout <rows = 16, rowsShareBytes = true> x(%t : tensor<2x4x2x64xi8>) codes(%w : tensor<1x32x1x32xi8>)
      scales(%s : tensor<1x4x16xf32>) xscales(%a : tensor<2x4xf32>) outs(%e : tensor<2x16xf32>) -> tensor<2x16xf32>
  return
}

// -----

func.func @sums_of_tables(%t: tensor<2x4x2x64xi8>, %a: tensor<2x4xf32>, %w: tensor<1x4x1x256xi8>, %s: tensor<1x4x64xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects sums of x, in f32, where, and only where, there are zeros}}
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> layout <rows = 64> x(%t : tensor<2x4x2x64xi8>) codes(%w : tensor<1x4x1x256xi8>)
      scales(%s : tensor<1x4x64xf32>) xscales(%a : tensor<2x4xf32>) xsums(%a : tensor<2x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @experts_type(%b: tensor<3xi32>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects experts of rank 1 and i64, got 'tensor<3xi32>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi32>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @offsets_rank(%b: tensor<3xi64>, %o: tensor<4x1xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects offsets of rank 1 and i64, got 'tensor<4x1xi64>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4x1xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @offsets_size(%b: tensor<3xi64>, %o: tensor<3xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects offsets of shape [4], got 'tensor<3xi64>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<3xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @part_of_a_matrix(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<100x4x32xi8>, %s: tensor<100x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects whole matrices of 40 columns, got codes of 'tensor<100x4x32xi8>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<100x4x32xi8>) scales(%s : tensor<100x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @unknown_columns(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<2x?xf32>) {
  // expected-error @below {{expects known columns, got codes of 'tensor<120x4x32xi8>' and a result of 'tensor<2x?xf32>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x?xf32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @matrix_scales(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects scales of shape [120, 4], got 'tensor<40x4xf32>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @rows_of_blocks(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<3x40xf32>) {
  // expected-error @below {{expects a result of 2 rows, got 'tensor<3x40xf32>'}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<3x40xf32>) -> tensor<3x40xf32>
  return
}

// -----

func.func @gather_unscaled(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x1x32xf32>, %w: tensor<120x1x32xi8>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects scales with a format}}
  mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x1x32xf32>) codes(%w : tensor<120x1x32xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @gather_windows(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects a format whose codes each stand for a number, got #mpgemm.trellis<bits = 4>}}
  mpgemm.gather_matmul #mpgemm.trellis<bits = 4> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @gather_planes(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x8x32xi8>, %s: tensor<120x8xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects a format whose codes each stand for a number, got #mpgemm.binary<planes = 2>}}
  mpgemm.gather_matmul #mpgemm.binary<planes = 2> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x8x32xi8>) scales(%s : tensor<120x8xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @codes_without_format(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects floats, and x and a result of f32, without a format, got codes of 'i8', x of 'f32' and a result of 'tensor<2x40xf32>'}}
  mpgemm.gather_matmul experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @scales_without_format(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xf32>, %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects neither scales, zeros nor sums without a format}}
  mpgemm.gather_matmul experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xf32>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @packed_floats(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<9x4x16x32xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects codes of shape [?, 4, 32, 16], got 'tensor<9x4x16x32xf32>'}}
  mpgemm.gather_matmul layout <rows = 16> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<9x4x16x32xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @scalar_codes(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<f32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects known columns, got codes of 'tensor<f32>' and a result of 'tensor<2x40xf32>'}}
  mpgemm.gather_matmul experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<f32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @uneven_super_blocks(%x: tensor<2x6x32xf32>, %w: tensor<40x6x32xi8>, %s: tensor<40x6xi8>,
                               %ss: tensor<40x4xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects super-scales of blocks of equally many of 6 groups, got 'tensor<40x4xf32>'}}
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x6x32xf32>) codes(%w : tensor<40x6x32xi8>)
      scales(%s : tensor<40x6xi8>) superscales(%ss : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @more_super_scales_than_groups(%x: tensor<2x2x32xf32>, %w: tensor<40x2x32xi8>, %s: tensor<40x2xi8>,
                                         %ss: tensor<40x3xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects super-scales of blocks of equally many of 2 groups, got 'tensor<40x3xf32>'}}
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x2x32xf32>) codes(%w : tensor<40x2x32xi8>)
      scales(%s : tensor<40x2xi8>) superscales(%ss : tensor<40x3xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @super_scales_of_fewer_columns(%x: tensor<2x2x32xf32>, %w: tensor<40x2x32xi8>, %s: tensor<40x2xi8>,
                                         %ss: tensor<39x1xf32>, %e: tensor<2x40xf32>) {
  // expected-error @below {{expects superscales of shape [40, 1], got 'tensor<39x1xf32>'}}
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x2x32xf32>) codes(%w : tensor<40x2x32xi8>)
      scales(%s : tensor<40x2xi8>) superscales(%ss : tensor<39x1xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}

// -----

func.func @integer_super_scales(%x: tensor<2x2x32xf32>, %w: tensor<40x2x32xi8>, %s: tensor<40x2xi8>,
                                %e: tensor<2x40xf32>) {
  // expected-error @below {{expects super-scales of floats beside scales, got 'tensor<40x2xi8>'}}
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x2x32xf32>) codes(%w : tensor<40x2x32xi8>)
      scales(%s : tensor<40x2xi8>) superscales(%s : tensor<40x2xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return
}
