// RUN: lutra-opt --split-input-file --verify-diagnostics %s -form-dispatches | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#shape = affine_map<()[s0] -> (s0, 8)>

// Parts are inserted into the kernel's output; a returned argument is copied.
// CHECK-LABEL: func @concat
// CHECK: lutra.dispatch @concat_0[] (%arg0, %arg1)
// CHECK: lutra.dispatch @copy_1[] (%arg0)
func.func @concat(%x: tensor<2x4xf32>, %y: tensor<3x4xf32>) -> (tensor<5x4xf32>, tensor<2x4xf32>) {
  %e = tensor.empty() : tensor<5x4xf32>
  %a = tensor.insert_slice %x into %e[0, 0] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<5x4xf32>
  %b = tensor.insert_slice %y into %a[2, 0] [3, 4] [1, 1] : tensor<3x4xf32> into tensor<5x4xf32>
  return %b, %x : tensor<5x4xf32>, tensor<2x4xf32>
}

// The contraction and what alone reads it are one kernel, and the nodes that it
// came from are named.
// CHECK-LABEL: func @main
// CHECK: %[[E:.*]] = tensor.empty(%batch) : tensor<?x8xf32>
// CHECK: %[[Y:.*]] = lutra.dispatch @contract_2[%batch] (%{{.*}}, %w, %b) outs(%[[E]] : tensor<?x8xf32>) {nodes = "fc, relu"}
// A part of an input is a view inside the kernel that copies it.
// CHECK: %[[S:.*]] = lutra.dispatch @copy_3
// CHECK: return %[[Y]], %[[S]]
func.func @main(%x: tensor<?x8xf32> {lutra.shape = #shape}) -> (tensor<?x8xf32>, tensor<2x4xf32>)
    attributes {lutra.dims = [{name = "batch", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %batch = lutra.dim "batch" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %w = lutra.weight "w" from "m.onnx"[0, 256] storage tensor<8x8xf32> : tensor<8x8xf32>
  %b = lutra.weight "b" from "m.onnx"[256, 32] storage tensor<8xf32> : tensor<8xf32>
  %e = tensor.empty(%batch) : tensor<?x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<?x8xf32>, tensor<8x8xf32>) outs(%f : tensor<?x8xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32> loc("fc")
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %b : tensor<?x8xf32>, tensor<8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %s = arith.addf %l, %r : f32
    %t = arith.maximumf %s, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32> loc("relu")
  %slice = tensor.extract_slice %x[0, 2] [2, 4] [1, 1] : tensor<?x8xf32> to tensor<2x4xf32>
  return %y, %slice : tensor<?x8xf32>, tensor<2x4xf32>
}

// The size of a returned argument, which nothing has asked for before.
// CHECK-LABEL: func @identity
// CHECK: %[[N:.*]] = lutra.dim "n" min 1 max 8 multiple 1
// CHECK: %[[E:.*]] = tensor.empty(%[[N]]) : tensor<?x8xf32>
// CHECK: lutra.dispatch @copy_{{[0-9]+}}[] (%arg0) outs(%[[E]] : tensor<?x8xf32>)
func.func @identity(%x: tensor<?x8xf32> {lutra.shape = affine_map<()[s0, s1] -> (s1, 8)>}) -> tensor<?x8xf32>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 2 : i64, multiple = 1 : i64},
                              {name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  return %x : tensor<?x8xf32>
}

// CHECK: func private @contract_2
// CHECK-SAME: (%[[N:.*]]: index, %[[X:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<8x8xf32>, %[[B:.*]]: tensor<8xf32>, %[[OUT:.*]]: tensor<?x8xf32>)
// CHECK-SAME: lutra.kernel
// CHECK: %[[F:.*]] = linalg.fill
// CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[W]] : {{.*}}) outs(%[[F]]
// CHECK: linalg.generic {{.*}} ins(%[[M]], %[[B]] : {{.*}}) outs(%[[OUT]]

// CHECK: func private @copy_3
// CHECK: tensor.extract_slice
// CHECK: linalg.generic

// -----

// Uniform and empty tensors are written by a kernel; no kernel holds a table of
// equal numbers.

// CHECK-LABEL: func @uniform
// CHECK-NOT: dense
// CHECK: lutra.dispatch @fill_{{[0-9]+}}
// CHECK: func private @fill_{{[0-9]+}}
// CHECK-NOT: dense
// CHECK: linalg.generic {{.*}} outs(
// CHECK: linalg.yield %cst
func.func @uniform() -> (tensor<64xf32>, tensor<0xi64>) {
  %ones = arith.constant dense<1.0> : tensor<64xf32>
  %none = arith.constant dense<> : tensor<0xi64>
  return %ones, %none : tensor<64xf32>, tensor<0xi64>
}

// -----

// What only a padding reads is written into its place; the frame alone is filled.

#id = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func @pad
// CHECK: lutra.dispatch @map_{{[0-9]+}}[] (%arg0) outs(%{{.*}} : tensor<?x10xf32>) {nodes = "relu, pad"}
// CHECK: func private @map
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[OUT:.*]]: tensor<?x10xf32>)
// CHECK: %[[LEFT:.*]] = tensor.extract_slice %[[OUT]][0, 0] [%{{.*}}, 2] [1, 1]
// CHECK: linalg.fill {{.*}} outs(%[[LEFT]]
// CHECK: %[[FRAMED:.*]] = tensor.insert_slice
// CHECK-NOT: linalg.fill
// CHECK: %[[PLACE:.*]] = tensor.extract_slice %[[FRAMED]][0, 2] [%{{.*}}, 8] [1, 1]
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[X]] : {{.*}}) outs(%[[PLACE]]
// CHECK: tensor.insert_slice %[[Y]] into %[[FRAMED]][0, 2]
func.func @pad(%x: tensor<?x8xf32> {lutra.shape = affine_map<()[s0] -> (s0, 8)>}) -> tensor<?x10xf32>
    attributes {lutra.dims = [{name = "batch", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %batch = lutra.dim "batch" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%batch) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%l: f32, %o: f32):
    %t = arith.maximumf %l, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32> loc("relu")
  %p = tensor.pad %y low[0, 2] high[0, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<?x8xf32> to tensor<?x10xf32> loc("pad")
  return %p : tensor<?x10xf32>
}

// -----

// What is padded may read a tensor in its body.
// CHECK-LABEL: func @pad_of_gathered
// CHECK: lutra.dispatch @map_0[] (%arg1, %arg0)
// CHECK-LABEL: func private @map_0
// CHECK: tensor.extract %arg1
func.func @pad_of_gathered(%x: tensor<4x8xf32>, %i: tensor<3xi64>) -> tensor<4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x3xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, k) -> (k)>, affine_map<(m, k) -> (m, k)>], iterator_types = ["parallel", "parallel"]} ins(%i : tensor<3xi64>) outs(%e : tensor<4x3xf32>) {
  ^bb0(%l: i64, %o: f32):
    %row = linalg.index 0 : index
    %at = arith.index_cast %l : i64 to index
    %g = tensor.extract %x[%row, %at] : tensor<4x8xf32>
    linalg.yield %g : f32
  } -> tensor<4x3xf32>
  %p = tensor.pad %y low[0, 0] high[0, 2] {
  ^bb0(%a: index, %b: index):
    tensor.yield %zero : f32
  } : tensor<4x3xf32> to tensor<4x5xf32>
  return %p : tensor<4x5xf32>
}

// -----

// What has no elements is no kernel's work, and a result of it one of no loops.
// CHECK-LABEL: func @nothing
// CHECK-NOT: lutra.dispatch
// CHECK: %[[Y:.*]] = lutra.dispatch @fill_0[] () outs(%{{.*}} : tensor<0x4xf32>)
// CHECK-NOT: lutra.dispatch
// CHECK: return %[[Y]]
// CHECK-LABEL: func private @fill_0(%arg0: tensor<0x4xf32>)
// CHECK-NOT: tensor.empty
func.func @nothing(%x: tensor<3x4xf32>) -> tensor<0x4xf32> {
  %s = tensor.extract_slice %x[0, 0] [0, 4] [1, 1] : tensor<3x4xf32> to tensor<0x4xf32>
  %e = tensor.empty() : tensor<0x4xf32>
  %n = linalg.negf ins(%s : tensor<0x4xf32>) outs(%e : tensor<0x4xf32>) -> tensor<0x4xf32>
  return %n : tensor<0x4xf32>
}

// -----

// A reader that divides a loop is not fused: tiles are the contraction's.
// CHECK-LABEL: func @groups
// CHECK: lutra.dispatch @contract_0
// CHECK: lutra.dispatch @map_1
func.func @groups(%x: tensor<4x8xf32>, %w: tensor<8x30xf32>, %g: tensor<4x2xf32>) -> tensor<4x30xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x30xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x30xf32>) -> tensor<4x30xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<4x8xf32>, tensor<8x30xf32>) outs(%f : tensor<4x30xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x30xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n floordiv 15)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%c, %g : tensor<4x30xf32>, tensor<4x2xf32>) outs(%e : tensor<4x30xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.addf %l, %r : f32
    linalg.yield %p : f32
  } -> tensor<4x30xf32>
  return %y : tensor<4x30xf32>
}

// -----

// A uniform tensor is written where it is read, and is no kernel's temporary.
// CHECK-LABEL: func @uniform
// CHECK: %[[ONES:.*]] = lutra.dispatch @fill_0[] () outs(%{{.*}} : tensor<512x512xf32>)
// CHECK: lutra.dispatch @concat_1[] (%[[ONES]], %arg0)
// CHECK-LABEL: func private @concat_1
// CHECK-NOT: linalg.fill
func.func @uniform(%x: tensor<2x512xf32>) -> tensor<514x512xf32> {
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<512x512xf32>
  %f = linalg.fill ins(%one : f32) outs(%e : tensor<512x512xf32>) -> tensor<512x512xf32>
  %r = tensor.empty() : tensor<514x512xf32>
  %a = tensor.insert_slice %f into %r[0, 0] [512, 512] [1, 1] : tensor<512x512xf32> into tensor<514x512xf32>
  %b = tensor.insert_slice %x into %a[512, 0] [2, 512] [1, 1] : tensor<2x512xf32> into tensor<514x512xf32>
  return %b : tensor<514x512xf32>
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>

// A loop is a kernel: what it carries are the outputs, also those that only the
// loop reads, and begins as it does on the host.
// CHECK-LABEL: func @loop
// CHECK: %[[Y:.*]]:2 = lutra.dispatch @loop_0[%[[N:.*]]] (%arg0, %arg1) outs(%{{.*}}, %{{.*}} : tensor<2x4xf32>, tensor<2x4xf32>)
// CHECK: return %[[Y]]#0
// CHECK-LABEL: func private @loop_0
// CHECK-SAME: (%[[N:.*]]: index, %[[X:.*]]: tensor<2x4xf32>, %[[INIT:.*]]: tensor<2x4xf32>, %[[OUT:.*]]: tensor<2x4xf32>, %[[SCRATCH:.*]]: tensor<2x4xf32>)
// CHECK: %[[STATE:.*]] = linalg.copy ins(%[[INIT]] : tensor<2x4xf32>) outs(%[[OUT]] : tensor<2x4xf32>)
// CHECK: %[[R:.*]]:2 = scf.for {{.*}} to %[[N]] step {{.*}} iter_args(%{{.*}} = %[[STATE]], %{{.*}} = %[[SCRATCH]])
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @loop(%x: tensor<2x4xf32>, %init: tensor<2x4xf32>) -> tensor<2x4xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<2x4xf32>
  %r:2 = scf.for %t = %c0 to %n step %c1 iter_args(%s = %init, %g = %e) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
    %twice = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<2x4xf32>) outs(%g : tensor<2x4xf32>) {
    ^bb0(%i: f32, %o: f32):
      %y = arith.addf %i, %i : f32
      linalg.yield %y : f32
    } -> tensor<2x4xf32>
    %next = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%twice, %x : tensor<2x4xf32>, tensor<2x4xf32>) outs(%s : tensor<2x4xf32>) {
    ^bb0(%i: f32, %j: f32, %o: f32):
      %y = arith.addf %i, %j : f32
      linalg.yield %y : f32
    } -> tensor<2x4xf32>
    scf.yield %next, %twice : tensor<2x4xf32>, tensor<2x4xf32>
  }
  return %r#0 : tensor<2x4xf32>
}

// -----

// A loop that is distributed keeps its tasks.
// CHECK-LABEL: func @tasks
// CHECK: lutra.dispatch @loop_0[] () outs(%{{.*}} : tensor<8xf32>)
// CHECK-LABEL: func private @loop_0
// CHECK-SAME: (%[[OUT:.*]]: tensor<8xf32>)
// CHECK: scf.forall (%{{.*}}) in (2) shared_outs(%{{.*}} = %[[OUT]])
func.func @tasks() -> tensor<8xf32> {
  %one = arith.constant 1.0 : f32
  %c4 = arith.constant 4 : index
  %e = tensor.empty() : tensor<8xf32>
  %r = scf.forall (%i) in (2) shared_outs(%o = %e) -> (tensor<8xf32>) {
    %at = arith.muli %i, %c4 : index
    %s = tensor.extract_slice %o[%at] [4] [1] : tensor<8xf32> to tensor<4xf32>
    %f = linalg.fill ins(%one : f32) outs(%s : tensor<4xf32>) -> tensor<4xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %f into %o[%at] [4] [1] : tensor<4xf32> into tensor<8xf32>
    }
  }
  return %r : tensor<8xf32>
}

// -----

// A loop that updates a tensor in order starts from a copy in its output.

// CHECK-LABEL: func @scatter
// CHECK: lutra.dispatch @loop_{{[0-9]+}}[%{{.*}}] (%arg1, %arg0) outs(%{{.*}} : tensor<?xf32>) {nodes = "scatter"}
// CHECK: func private @loop
// CHECK-SAME: (%[[N:.*]]: index, %[[AT:.*]]: tensor<?xi64>, %[[X:.*]]: tensor<?xf32>, %[[OUT:.*]]: tensor<?xf32>)
// CHECK: %[[COPY:.*]] = linalg.copy ins(%[[X]] : {{.*}}) outs(%[[OUT]]
// CHECK: scf.for {{.*}} to %[[N]] {{.*}} iter_args(%{{.*}} = %[[COPY]])
// CHECK: tensor.extract %[[AT]]
#shape = affine_map<()[s0] -> (s0)>
func.func @scatter(%x: tensor<?xf32> {lutra.shape = #shape}, %at: tensor<?xi64> {lutra.shape = #shape}) -> tensor<?xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%t = %x) -> tensor<?xf32> {
    %e = tensor.extract %at[%i] : tensor<?xi64>
    %p = arith.index_cast %e : i64 to index
    %u = tensor.insert %one into %t[%p] : tensor<?xf32>
    scf.yield %u : tensor<?xf32>
  } loc("scatter")
  return %y : tensor<?xf32>
}

// -----

// Two reductions of the same rows, and what is computed between and after them,
// are one kernel.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#shape = affine_map<()[s0] -> (s0, 100)>
// CHECK-LABEL: func @softmax
// CHECK: lutra.dispatch @rows_0[%{{.*}}] (%arg0)
// CHECK-NOT: lutra.dispatch
// CHECK: func private @rows_0
// CHECK-SAME: lutra.rows = array<i64: 0>
// CHECK-COUNT-4: linalg.generic
func.func @softmax(%x: tensor<?x100xf32> {lutra.shape = #shape}) -> tensor<?x100xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %r = tensor.empty(%n) : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?x100xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x100xf32>) outs(%m0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<?x100xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  return %y : tensor<?x100xf32>
}

// -----

// So are they where the length of rows is not known, with what is computed of a
// row's sum.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#one = affine_map<(a) -> (a)>
#shape = affine_map<()[s0] -> (s0, s0)>
// CHECK-LABEL: func @long
// CHECK: lutra.dispatch @rows_0[%{{.*}}] (%arg0)
// CHECK-NOT: lutra.dispatch
// CHECK: func private @rows_0
// CHECK-SAME: lutra.rows = array<i64: 0>
// CHECK-COUNT-3: linalg.generic
func.func @long(%x: tensor<?x?xf32> {lutra.shape = #shape}) -> tensor<?x?xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %r = tensor.empty(%n) : tensor<?xf32>
  %e = tensor.empty(%n, %n) : tensor<?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x?xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %p = arith.mulf %i, %i : f32
    %v = arith.addf %p, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %q = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%s : tensor<?xf32>) outs(%r : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.sqrt %i : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %q : tensor<?x?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// What something else reads too is the end of a kernel: the exponentials here,
// which the sum and the division then read.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#shape = affine_map<()[s0] -> (s0, 100)>
// CHECK-LABEL: func @shared
// CHECK: %[[P:.*]] = lutra.dispatch @rows
// CHECK: %[[Y:.*]] = lutra.dispatch @rows_{{[0-9]+}}[%{{.*}}] (%[[P]])
// CHECK: return %[[Y]], %[[P]]
func.func @shared(%x: tensor<?x100xf32> {lutra.shape = #shape}) -> (tensor<?x100xf32>, tensor<?x100xf32>)
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %r = tensor.empty(%n) : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?x100xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x100xf32>) outs(%m0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<?x100xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  return %y, %p : tensor<?x100xf32>, tensor<?x100xf32>
}

// -----

// One long row would leave all threads but one without work.

// CHECK-LABEL: func @long
// CHECK: lutra.dispatch @reduce
// CHECK: lutra.dispatch @map
#vec = affine_map<(a) -> (a)>
#one = affine_map<(a) -> ()>
#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
func.func @long(%x: tensor<1x100000xf32>) -> tensor<1x100000xf32> {
  %zero = arith.constant 0.0 : f32
  %r = tensor.empty() : tensor<1xf32>
  %e = tensor.empty() : tensor<1x100000xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<1xf32>) -> tensor<1xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<1x100000xf32>) outs(%s0 : tensor<1xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<1xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<1x100000xf32>, tensor<1xf32>) outs(%e : tensor<1x100000xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<1x100000xf32>
  return %y : tensor<1x100000xf32>
}

// -----

// What a loop starts from is written where its result will be.

// CHECK-LABEL: func @counts
// CHECK-NOT: lutra.dispatch @fill
// CHECK: lutra.dispatch @loop
// CHECK: func.func private @loop
// CHECK: %[[INIT:.*]] = linalg.fill ins(%{{.*}} : i64) outs(%{{.*}} : tensor<8xi64>)
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[INIT]])
func.func @counts(%x: tensor<100xi64>) -> tensor<8xi64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %zero = arith.constant 0 : i64
  %e = tensor.empty() : tensor<8xi64>
  %init = linalg.fill ins(%zero : i64) outs(%e : tensor<8xi64>) -> tensor<8xi64>
  %counts = scf.for %i = %c0 to %c100 step %c1 iter_args(%t = %init) -> (tensor<8xi64>) {
    %place = tensor.extract %x[%i] : tensor<100xi64>
    %at = arith.index_cast %place : i64 to index
    %next = tensor.insert %place into %t[%at] : tensor<8xi64>
    scf.yield %next : tensor<8xi64>
  }
  return %counts : tensor<8xi64>
}

// -----

// What follows a product of blocks goes over rows otherwise, and is a kernel of its own.

// CHECK-LABEL: func @gather
// CHECK: lutra.dispatch @contract
// CHECK: lutra.dispatch @map
#id = affine_map<(a, b) -> (a, b)>
func.func @gather(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>, %s: tensor<120x4xf32>) -> tensor<2x40xf32> {
  %e = tensor.empty() : tensor<2x40xf32>
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<2x40xf32>) outs(%e : tensor<2x40xf32>) {
  ^bb0(%i: f32, %p: f32):
    %v = arith.mulf %i, %i : f32
    linalg.yield %v : f32
  } -> tensor<2x40xf32>
  return %z : tensor<2x40xf32>
}

// -----

#id = affine_map<(d0) -> (d0)>

// An index that a kernel can compute of others that it is given is computed
// there, so that it is known how they are related; it is given any other.
// CHECK-LABEL: func @related
// CHECK: %[[LESS:.*]] = affine.apply #{{.*}}()[%m]
// CHECK: lutra.dispatch @map_0[%m, %n]
// CHECK: lutra.dispatch @map_1[%[[LESS]]]
// CHECK: func.func private @map_0(%[[M:.*]]: index, %[[N:.*]]: index, %{{.*}}: tensor
// CHECK: %[[OFFSET:.*]] = affine.apply #{{.*}}()[%[[M]], %[[N]]]
// CHECK: arith.addi %{{.*}}, %[[OFFSET]]
// CHECK: func.func private @map_1(%{{.*}}: index, %{{.*}}: tensor
// CHECK-NOT: affine.apply
// CHECK: arith.subi
func.func @related(%x: tensor<?xindex> {lutra.shape = affine_map<()[s0, s1] -> (s0)>}) -> (tensor<?xindex>, tensor<?xindex>)
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64},
                              {name = "m", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %m = lutra.dim "m" min 1 max 8 multiple 1
  %offset = affine.apply affine_map<()[s0, s1] -> (s0 - s1)>()[%m, %n]
  %less = affine.apply affine_map<()[s0] -> (s0 * 3)>()[%m]
  %e = tensor.empty(%n) : tensor<?xindex>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<?xindex>) outs(%e : tensor<?xindex>) {
  ^bb0(%a: index, %o: index):
    %s = arith.muli %a, %m : index
    %r = arith.addi %s, %n : index
    %t = arith.addi %r, %offset : index
    linalg.yield %t : index
  } -> tensor<?xindex>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<?xindex>) outs(%e : tensor<?xindex>) {
  ^bb0(%a: index, %o: index):
    %t = arith.subi %a, %less : index
    linalg.yield %t : index
  } -> tensor<?xindex>
  return %y, %z : tensor<?xindex>, tensor<?xindex>
}

// -----

// A loop of one step leaves insertions of elements behind. Where they go, and
// what goes there, depends on elements, which the host does not read.
// CHECK-LABEL: func @element
// CHECK-NEXT: tensor.empty
// CHECK-NEXT: %[[Y:.*]] = lutra.dispatch @make_0[] (%arg0, %arg1)
// CHECK-NEXT: return %[[Y]]
// CHECK: func.func private @make_0(%[[X:.*]]: tensor<5xf32>, %[[I:.*]]: tensor<1xi64>, %[[OUT:.*]]: tensor<5xf32>)
// CHECK: %[[ALL:.*]] = linalg.copy ins(%[[X]] : tensor<5xf32>) outs(%[[OUT]] : tensor<5xf32>)
// CHECK: %[[PLACE:.*]] = tensor.extract %[[I]]
// CHECK: %[[AT:.*]] = arith.index_cast %[[PLACE]]
// CHECK: tensor.insert %{{.*}} into %[[ALL]][%[[AT]]]
func.func @element(%x: tensor<5xf32> {lutra.shape = affine_map<() -> (5)>}, %i: tensor<1xi64> {lutra.shape = affine_map<() -> (1)>}) -> tensor<5xf32> {
  %c0 = arith.constant 0 : index
  %place = tensor.extract %i[%c0] : tensor<1xi64>
  %at = arith.index_cast %place : i64 to index
  %element = tensor.extract %x[%at] : tensor<5xf32>
  %less = arith.negf %element : f32
  %y = tensor.insert %less into %x[%at] : tensor<5xf32>
  return %y : tensor<5xf32>
}

// -----

// An insertion into what another kernel has written, and nothing else reads,
// goes on with it.
// CHECK-LABEL: func @goes_on
// CHECK: %[[A:.*]] = lutra.dispatch @map_0[] (%arg0) outs(%{{.*}})
// CHECK: %[[B:.*]] = lutra.dispatch @concat_1[] (%arg1) outs(%[[A]] : tensor<8xf32>)
// CHECK: return %[[B]]
// CHECK-LABEL: func private @concat_1
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[OUT:.*]]: tensor<8xf32>)
// CHECK-NEXT: %[[R:.*]] = tensor.insert_slice %[[X]] into %[[OUT]][2] [4] [1]
// CHECK-NEXT: return %[[R]]
func.func @goes_on(%x: tensor<8xf32>, %y: tensor<4xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %r = math.exp %in : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %b = tensor.insert_slice %y into %a[2] [4] [1] : tensor<4xf32> into tensor<8xf32>
  return %b : tensor<8xf32>
}

// -----

// What something else reads is copied.
// CHECK-LABEL: func @copies
// CHECK: %[[A:.*]] = lutra.dispatch @map_0
// CHECK: lutra.dispatch @concat_1[] (%{{.*}}%[[A]]{{.*}}) outs(%{{.*}} : tensor<8xf32>)
func.func @copies(%x: tensor<8xf32>, %y: tensor<4xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %r = math.exp %in : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %b = tensor.insert_slice %y into %a[2] [4] [1] : tensor<4xf32> into tensor<8xf32>
  return %a, %b : tensor<8xf32>, tensor<8xf32>
}

// -----

func.func @scalar(%x: tensor<4xf32>, %i: index) -> index {
  // expected-error @below {{expected a tensor of known sizes, got 'index'}}
  return %i : index
}
