// RUN: lutra-opt %s -split-input-file -verify-diagnostics -plan-memory -canonicalize -cse | FileCheck %s

#shape = affine_map<()[s0] -> (s0, 4)>

// Equal weights are one entry, and every entry is aligned.
// CHECK: lutra.image = [{at = 0 : i64, {{.*}}name = "b"
// CHECK-SAME: at = 64 : i64
// CHECK-NOT: at = 128

// Three tensors of one size in two slots, the last in the caller's buffer.
// CHECK-LABEL: func @plan
// CHECK-SAME: (%[[N:.*]]: index, %{{.*}}: index) -> (index, index, index)
// CHECK: %[[BYTES:.*]] = arith.muli %[[N]], %{{c16.*}}
// CHECK: return %{{.*}}, %[[N]], %c4

// CHECK-LABEL: func @main
// CHECK-SAME: %[[CTX:.*]]: !llvm.ptr {lutra.role = "context"}
// CHECK-SAME: %[[X:.*]]: memref<?x4xf32> {{{.*}}lutra.role = "input"
// CHECK-SAME: %[[Y:.*]]: memref<?x4xf32> {{{.*}}lutra.role = "output"
// CHECK-SAME: index {lutra.role = "dim"}
// CHECK-SAME: memref<?xi8> {lutra.role = "workspace"}
// CHECK-SAME: memref<?xi8> {lutra.role = "weights"}
// CHECK: call @k(%[[CTX]], %[[X]], %[[B:[^,]*]], %[[T1:[^)]*]]) {lutra.nodes = "first"}
// CHECK: call @k(%[[CTX]], %[[T1]], %[[B]], %[[T2:[^)]*]])
// CHECK: call @k(%[[CTX]], %[[T2]], %{{[^,]*}}, %[[T3:[^)]*]])
// CHECK: call @k(%[[CTX]], %[[T3]], %{{[^,]*}}, %[[Y]])
func.func @main(%x: tensor<?x4xf32> {lutra.name = "x", lutra.shape = #shape})
    -> (tensor<?x4xf32> {lutra.name = "y", lutra.shape = #shape})
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %b = lutra.weight "b" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  %b2 = lutra.weight "other name" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  %c = lutra.weight "c" from "m.onnx"[16, 16] storage tensor<4xf32> : tensor<4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %1 = lutra.dispatch @k[] (%x, %b) outs(%e : tensor<?x4xf32>) {nodes = "first"} : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %2 = lutra.dispatch @k[] (%1, %b2) outs(%e : tensor<?x4xf32>) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %3 = lutra.dispatch @k[] (%2, %c) outs(%e : tensor<?x4xf32>) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %4 = lutra.dispatch @k[] (%3, %c) outs(%e : tensor<?x4xf32>) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}
// CHECK: func private @k(%{{.*}}: !llvm.ptr, %{{.*}}: memref<?x4xf32>
func.func private @k(%x: memref<?x4xf32>, %b: memref<4xf32>, %o: memref<?x4xf32>) attributes {lutra.kernel} {
  return
}

// -----

// Two results that are one dispatch are two again.
// CHECK-LABEL: func @main
// CHECK-SAME: %[[X:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "input"
// CHECK-SAME: %[[Y:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "output"
// CHECK-SAME: %[[Z:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "output"
// CHECK: call @k(%{{.*}}, %[[X]], %[[Y]])
// CHECK: call @k(%{{.*}}, %[[X]], %[[Z]])
func.func @main(%x: tensor<4xf32> {lutra.name = "x"}) -> (tensor<4xf32> {lutra.name = "y", lutra.shape = affine_map<() -> (4)>}, tensor<4xf32> {lutra.name = "z", lutra.shape = affine_map<() -> (4)>}) {
  %e = tensor.empty() : tensor<4xf32>
  %1 = lutra.dispatch @k[] (%x) outs(%e : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  return %1, %1 : tensor<4xf32>, tensor<4xf32>
}
func.func private @k(%x: memref<4xf32>, %o: memref<4xf32>) attributes {lutra.kernel} {
  return
}

// -----

// A group of two sizes that are not known is another header of one buffer.
// CHECK-LABEL: func @main
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [%[[H:.*]], %[[W:.*]]], strides: [%[[W]], 1]
func.func @main(%x: tensor<?xf32> {lutra.name = "x", lutra.shape = affine_map<()[h, w] -> (h * w)>}) -> (tensor<?x?xf32> {lutra.name = "y", lutra.shape = affine_map<()[h, w] -> (h, w)>})
    attributes {lutra.dims = [{name = "h", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}, {name = "w", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %h = lutra.dim "h" min 1 max 8 multiple 1
  %w = lutra.dim "w" min 1 max 8 multiple 1
  %v = tensor.expand_shape %x [[0, 1]] output_shape [%h, %w] : tensor<?xf32> into tensor<?x?xf32>
  %e = tensor.empty(%h, %w) : tensor<?x?xf32>
  %1 = lutra.dispatch @k[] (%v) outs(%e : tensor<?x?xf32>) : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}
func.func private @k(%x: memref<?x?xf32>, %o: memref<?x?xf32>) attributes {lutra.kernel} {
  return
}

// -----

// What goes on with a result writes where that lies, and what two go on with is
// written twice.
// CHECK-LABEL: func @main
// CHECK-SAME: %[[X:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "input"
// CHECK-SAME: %[[Y:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "output"
// CHECK-SAME: %[[Z:[^:]*]]: memref<4xf32> {{{[^}]*}}lutra.role = "output"
// CHECK-DAG: call @first(%{{.*}}, %[[X]], %[[Y]])
// CHECK-DAG: call @first(%{{.*}}, %[[X]], %[[Z]])
// CHECK-DAG: call @second(%{{.*}}, %[[X]], %[[Y]])
// CHECK-DAG: call @third(%{{.*}}, %[[X]], %[[Z]])
func.func @main(%x: tensor<4xf32> {lutra.name = "x"}) -> (tensor<4xf32> {lutra.name = "y", lutra.shape = affine_map<() -> (4)>}, tensor<4xf32> {lutra.name = "z", lutra.shape = affine_map<() -> (4)>}) {
  %e = tensor.empty() : tensor<4xf32>
  %1 = lutra.dispatch @first[] (%x) outs(%e : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  %2 = lutra.dispatch @second[] (%x) outs(%1 : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  %3 = lutra.dispatch @third[] (%x) outs(%1 : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  return %2, %3 : tensor<4xf32>, tensor<4xf32>
}
func.func private @first(%x: memref<4xf32>, %o: memref<4xf32>) attributes {lutra.kernel} {
  return
}
func.func private @second(%x: memref<4xf32>, %o: memref<4xf32>) attributes {lutra.kernel} {
  return
}
func.func private @third(%x: memref<4xf32>, %o: memref<4xf32>) attributes {lutra.kernel} {
  return
}

// -----

// expected-error @below {{'func.func' op expects a body of one block}}
func.func private @main()

// -----

// expected-error @below {{'func.func' op result 0: expects 'lutra.shape'}}
func.func @main() -> tensor<4xf32> {
  %0 = tensor.empty() : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @main() {
  // expected-error @below {{'lutra.dim' op expects a dimension of lutra.dims}}
  %n = lutra.dim "n" min 1 max 8 multiple 1
  return
}
