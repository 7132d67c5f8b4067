// What the verifiers refuse.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics

func.func @dim_range() {
  // expected-error @below {{expects 0 <= min <= max, got min 8 and max 4}}
  %0 = lutra.dim "n" min 8 max 4 multiple 1
  return
}

// -----

func.func @dim_negative() {
  // expected-error @below {{expects 0 <= min <= max, got min -1 and max 4}}
  %0 = lutra.dim "n" min -1 max 4 multiple 1
  return
}

// -----

func.func @dim_multiple() {
  // expected-error @below {{expects a positive multiple, got 0}}
  %0 = lutra.dim "n" min 1 max 4 multiple 0
  return
}

// -----

func.func @state_axis(%n: index) {
  // expected-error @below {{expects an axis of static size, got 0 of 'tensor<?x4xf32>'}}
  %0 = lutra.state "s" axis 0 (%n) {dtype = "FLOAT", shape = affine_map<()[s0] -> (s0, 4)>} : tensor<?x4xf32>
  return
}

// -----

func.func @state_sizes() {
  // expected-error @below {{expects 1 sizes, got 0}}
  %0 = lutra.state "s" axis 1 () {dtype = "FLOAT", shape = affine_map<()[s0] -> (s0, 4)>} : tensor<?x4xf32>
  return
}

// -----

func.func @state_rank() {
  // expected-error @below {{expects one size per dimension over symbols}}
  %0 = lutra.state "s" axis 1 () {dtype = "FLOAT", shape = affine_map<() -> (4)>} : tensor<2x4xf32>
  return
}

// -----

func.func @state_shape() {
  // expected-error @below {{expects sizes as in 'tensor<2x4xf32>'}}
  %0 = lutra.state "s" axis 1 () {dtype = "FLOAT", shape = affine_map<() -> (2, 8)>} : tensor<2x4xf32>
  return
}

// -----

func.func @weight_size() {
  // expected-error @below {{expects 16 bytes for 'tensor<4xf32>', got 12}}
  %0 = lutra.weight "w" from "m.onnx"[0, 12] storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func @weight_dynamic_storage() {
  // expected-error @below {{expects storage of static shape, got 'tensor<?xf32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 12] storage tensor<?xf32> : tensor<3xf32>
  return
}

// -----

func.func @weight_overflow() {
  // expected-error @below {{expects a size below 2^63 bytes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 0] storage tensor<4294967296x4294967296xf32> : tensor<4xf32>
  return
}

// -----

func.func @weight_encoding() {
  // expected-error @below {{expects encoding "raw" or "varint", got "zip"}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] encoding "zip" storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func @weight_offset() {
  // expected-error @below {{expects an offset and a size of at least 0}}
  %0 = lutra.weight "w" from "m.onnx"[-8, 16] storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func @weight_large_value() {
  // expected-error @below {{expects a value of at most 67108864 bytes, got 67108868}}
  %0 = lutra.weight "w" value dense<1.0> : tensor<16777217xf32> storage tensor<16777217xf32> : tensor<16777217xf32>
  return
}

// -----

func.func @weight_permutation() {
  // expected-error @below {{expects a permutation of 2 dimensions}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.transpose<[0, 0]>] : tensor<2x4xf32>
  return
}

// -----

func.func @weight_reshape() {
  // expected-error @below {{expects a shape of 8 elements}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.reshape<[3, 3]>] : tensor<3x3xf32>
  return
}

// -----

func.func @weight_pack() {
  // expected-error @below {{expects dim and outer below 2 and a positive tile}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.pack<dim = 2, tile = 4, outer = 0>] : tensor<2x4xf32>
  return
}

// -----

func.func @weight_reverse() {
  // expected-error @below {{expects a dimension below 2}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.reverse<2>] : tensor<2x4xf32>
  return
}

// -----

func.func @weight_cast() {
  // expected-error @below {{expects a cast from 'f32'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> steps [#lutra.cast<f64 to f32>] : tensor<4xf32>
  return
}

// -----

func.func @weight_step() {
  // expected-error @below {{expects a step of a weight expression, got 1 : i64}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> steps [1] : tensor<4xf32>
  return
}

// -----

func.func @unpack_bits() {
  // expected-error @below {{expects codes of 1 to 8 bits, got #lutra.unpack<bits = 9}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.unpack<bits = 9, flip = false, shape = [4]>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_bytes() {
  // expected-error @below {{expects a shape whose codes take 4 bytes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.unpack<bits = 4, flip = false, shape = [9]>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_rows() {
  // expected-error @below {{expects a shape whose codes take 4 bytes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.unpack<bits = 4, flip = false, shape = [2, 3], rows = 4>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_negative() {
  // expected-error @below {{expects a shape whose codes take 4 bytes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.unpack<bits = 8, flip = false, shape = [-2, -2]>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_overflow() {
  // expected-error @below {{expects a shape whose codes take 4 bytes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.unpack<bits = 8, flip = false, shape = [4294967296, 4294967296]>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_floats() {
  // expected-error @below {{expects to unpack bytes, got 'tensor<1xf32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<1xf32> steps [#lutra.unpack<bits = 8, flip = false, shape = [4]>] : tensor<4xi8>
  return
}

// -----

func.func @unpack_second() {
  // expected-error @below {{expects as its first step #lutra.unpack}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.reshape<[2, 2]>, #lutra.unpack<bits = 8, flip = false, shape = [4]>] : tensor<4xi8>
  return
}

// -----

func.func @planes_bits() {
  // expected-error @below {{expects codes of 1 to 8 bits, got #lutra.planes<bits = 0}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<2x2xi8> steps [#lutra.planes<bits = 0, rows = 16>] : tensor<4xi8>
  return
}

// -----

func.func @planes_rows() {
  // expected-error @below {{expects 1 to 1024 rows, got #lutra.planes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<2x2xi8> steps [#lutra.planes<bits = 4, rows = 0>] : tensor<4xi8>
  return
}

// -----

func.func @planes_rank() {
  // expected-error @below {{expects codes in bytes of rank 2, got 'tensor<4xi8>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.planes<bits = 4, rows = 16>] : tensor<4xi8>
  return
}

// -----

func.func @planes_of_shared_bytes() {
  // expected-error @below {{expects codes of 2 or 4 bits, a depth of 4 and rows by fours where rows share bytes, got #lutra.planes<bits = 3, rows = 16, rowsShareBytes = true>}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<2x2xi8> steps [#lutra.planes<bits = 3, rows = 16, rowsShareBytes = true>] : tensor<4xi8>
  return
}

// -----

func.func @planes_first() {
  // expected-error @below {{expects as its last step #lutra.planes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<1x4xi8> steps [#lutra.planes<bits = 4, rows = 1>, #lutra.reshape<[4]>] : tensor<4xi8>
  return
}

// -----

func.func @planes_result() {
  // expected-error @below {{expects a result of 'tensor<1x1x3x64xi8>' after its steps}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<1x4xi8> steps [#lutra.planes<bits = 3, rows = 16>] : tensor<4xi8>
  return
}

// -----

func.func @weight_result() {
  // expected-error @below {{expects a result of 'tensor<4x2xf32>' after its steps, got 'tensor<2x4xf32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.transpose<[1, 0]>] : tensor<2x4xf32>
  return
}

// -----

func.func @dispatch_unknown(%x: tensor<4xf32>) {
  // expected-error @below {{expects a function, got @nothing}}
  %0 = lutra.dispatch @nothing[]() outs(%x : tensor<4xf32>) : () -> tensor<4xf32>
  return
}

// -----

func.func private @k(tensor<4xf32>) -> tensor<4xf32>
func.func @dispatch_operands(%x: tensor<4xf32>) {
  // expected-error @below {{expects 1 operands for @k, got 2}}
  %0 = lutra.dispatch @k[](%x) outs(%x : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @k(memref<4xf32>) -> tensor<4xf32>
func.func @dispatch_results_of_buffers(%m: memref<4xf32>) {
  // expected-error @below {{expects no results with buffers, got 1}}
  %0 = lutra.dispatch @k[]() outs(%m : memref<4xf32>) : () -> tensor<4xf32>
  return
}

// -----

func.func private @k(tensor<4xf32>) -> tensor<4xf32>
func.func @dispatch_results(%x: tensor<4xf32>) {
  // expected-error @below {{expects one result of each output's type}}
  %0 = lutra.dispatch @k[]() outs(%x : tensor<4xf32>) : () -> tensor<2xf32>
  return
}

// -----

func.func @scales_of_another_axis() -> tensor<2x4xf32> {
  // expected-error@+1 {{expects a plain weight of one element per tensor, slice or block of 'tensor<2x4xi8>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 8] storage tensor<2x4xi8> steps [#lutra.dequantize<from = i8, to = f32, axis = 0, block = 0, scale = {name = "s", storage = tensor<4xf32>, value = dense<1.0> : tensor<4xf32>}>] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @dequantize_to_integers() -> tensor<4xi8> {
  // expected-error@+1 {{expects to dequantize 'i8' to a float}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.dequantize<from = i8, to = i8, axis = 0, block = 0, scale = {name = "s", storage = tensor<f32>, value = dense<1.0> : tensor<f32>}>] : tensor<4xi8>
  return %0 : tensor<4xi8>
}

// -----

func.func @dequantize_after_another() -> tensor<4xf32> {
  // expected-error@+1 {{expects as its first step #lutra.dequantize}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.reverse<0>, #lutra.dequantize<from = i8, to = f32, axis = 0, block = 0, scale = {name = "s", storage = tensor<f32>, value = dense<1.0> : tensor<f32>}>] : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @zeros_of_too_few_bytes() -> tensor<4xf32> {
  // expected-error@+1 {{expects a plain weight of one element per tensor, slice or block}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.dequantize<from = i8, to = f32, axis = 0, block = 0, scale = {name = "s", storage = tensor<f32>, value = dense<1.0> : tensor<f32>}, zero = {name = "z", storage = tensor<1xi8>, steps = [#lutra.unpack<bits = 4, flip = false, shape = [4]>], value = dense<0> : tensor<1xi8>}>] : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @sum_rank() {
  // expected-error @below {{expects bytes of rank 2 in rows of at most 8421504, got 'tensor<4xi8>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<4xi8> steps [#lutra.sum] : tensor<4xi32>
  return
}

// -----

func.func @sum_order() {
  // expected-error @below {{expects as its last step #lutra.sum}}
  %0 = lutra.weight "w" from "m.onnx"[0, 4] storage tensor<2x2xi8> steps [#lutra.sum, #lutra.reshape<[2, 1]>] : tensor<2x1xi32>
  return
}

// -----

func.func @quantize_rank() {
  // expected-error @below {{expects to quantize f32 of rank 2, got 'tensor<4xf32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse">] : tensor<4xi8>
  return
}

// -----

func.func @quantize_format() {
  // expected-error @below {{expects a known format, got #lutra.quantize<part = "codes", format = "int9"}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int9", group = 4, method = "mse">] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_part() {
  // expected-error @below {{expects codes, scales, sums or, where there are any, superscales, zeros, the codebook or the rest, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "zeros", format = "int4", group = 4, method = "mse">] : tensor<1x1xi8>
  return
}

// -----

func.func @quantize_method() {
  // expected-error @below {{expects the method nearest, mse or gptq, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "best">] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_group() {
  // expected-error @below {{expects groups of 1 to 4 weights, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 5, method = "mse">] : tensor<1x1x5xi8>
  return
}

// -----

func.func @quantize_group_of_vectors() {
  // expected-error @below {{expects groups of a multiple of 32 weights, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 160] storage tensor<1x40xf32> steps [#lutra.quantize<part = "codes", format = "aqlm2", group = 40, method = "mse">] : tensor<1x1x10xi8>
  return
}

// -----

func.func @quantize_long_group_of_vectors() {
  // expected-error @below {{expects groups of 1 to 64 weights, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 160] storage tensor<1x40xf32> steps [#lutra.quantize<part = "codes", format = "aqlm2", group = 96, method = "mse">] : tensor<1x1x24xi8>
  return
}

// -----

func.func @quantize_codebook() {
  // expected-error @below {{expects codes, scales, sums or, where there are any, superscales, zeros, the codebook or the rest, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codebook", format = "int4", group = 4, method = "mse">] : tensor<1x1xi8>
  return
}

// -----

func.func @quantize_factors() {
  // expected-error @below {{expects 4 factors of f32, got 'tensor<3xf32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", factors = dense<1.0> : tensor<3xf32>>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_repeats() {
  // expected-error @below {{expects to repeat columns only of codes that are numbers and without gptq, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "bcq2", group = 4, method = "mse", factors = dense<-1.0> : tensor<4xf32>>] : tensor<1x6x4xi8>
  return
}

// -----

func.func @quantize_rest() {
  // expected-error @below {{expects codes, scales, sums or, where there are any, superscales, zeros, the codebook or the rest, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "rest", format = "int4", group = 4, method = "mse">] : tensor<1x0xf32>
  return
}

// -----

func.func @quantize_rows_type() {
  // expected-error @below {{expects some rows as a vector of i64, got 'tensor<1xi32>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<0> : tensor<1xi32>>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_no_rows() {
  // expected-error @below {{expects some rows as a vector of i64, got 'tensor<0xi64>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<> : tensor<0xi64>>] : tensor<0x1x4xi8>
  return
}

// -----

func.func @quantize_rows_rank() {
  // expected-error @below {{expects some rows as a vector of i64, got 'tensor<1x1xi64>'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<0> : tensor<1x1xi64>>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_rows_beyond() {
  // expected-error @below {{expects rows that increase, below 2, got 2 behind 0}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<[0, 2]> : tensor<2xi64>>] : tensor<2x1x4xi8>
  return
}

// -----

func.func @quantize_rows_twice() {
  // expected-error @below {{expects rows that increase, below 2, got 1 behind 1}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<1> : tensor<2xi64>>] : tensor<2x1x4xi8>
  return
}

// -----

func.func @quantize_rows_negative() {
  // expected-error @below {{expects rows that increase, below 2, got -1 behind -1}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", rows = dense<-1> : tensor<1xi64>>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_moments() {
  // expected-error @below {{expects moments of 4 columns in f32, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", moments = {name = "m", storage = tensor<4x3xf32>, value = dense<1.0> : tensor<4x3xf32>}>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_moments_type() {
  // expected-error @below {{expects moments of 4 columns in f32, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "mse", moments = {name = "m", storage = tensor<4xi8>, value = dense<1> : tensor<4xi8>}>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_compensated() {
  // expected-error @below {{expects moments of any two columns for gptq, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "int4", group = 4, method = "gptq", moments = {name = "m", storage = tensor<4xf32>, value = dense<1.0> : tensor<4xf32>}>] : tensor<1x1x4xi8>
  return
}

// -----

func.func @quantize_compensated_rows() {
  // expected-error @below {{expects gptq only where a code is a number, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "codes", format = "bcq2", group = 4, method = "gptq", moments = {name = "m", storage = tensor<4x4xf32>, value = dense<1.0> : tensor<4x4xf32>}>] : tensor<1x2x4xi8>
  return
}

// -----

func.func @quantize_twice() {
  // expected-error @below {{expects at most one step that quantizes}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "scales", format = "int4", group = 1, method = "mse">, #lutra.quantize<part = "scales", format = "int4", group = 1, method = "mse">] : tensor<1x4xbf16>
  return
}

// -----

func.func @super_blocks_of_small_scales() {
  // expected-error @below {{expects super-blocks of groups where scales are bf16, got #lutra.quantize<part = "scales", format = "mxfp4"}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "scales", format = "mxfp4", group = 4, method = "mse", superBlock = 2>] : tensor<1x1xi8>
  return
}

// -----

func.func @super_scales_without_blocks() {
  // expected-error @below {{expects codes, scales, sums or, where there are any, superscales, zeros, the codebook or the rest, got}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<1x4xf32> steps [#lutra.quantize<part = "superscales", format = "int4", group = 4, method = "mse">] : tensor<1x1xbf16>
  return
}

// -----

func.func @weight_pack_overflow() {
  // expected-error @below {{expects a size below 2^63 bytes after #lutra.pack}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.pack<dim = 1, tile = 4611686018427387904, outer = 0>] : tensor<1x2x4611686018427387904xf32>
  return
}

// -----

func.func @weight_reshape_overflow() {
  // 3 times the second size is 8, modulo 2^64.
  // expected-error @below {{expects a size below 2^63 bytes after #lutra.reshape}}
  %0 = lutra.weight "w" from "m.onnx"[0, 32] storage tensor<2x4xf32> steps [#lutra.reshape<[3, 6148914691236517208]>] : tensor<3x6148914691236517208xf32>
  return
}
