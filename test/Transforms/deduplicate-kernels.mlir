// RUN: lutra-opt %s -deduplicate-kernels | FileCheck %s

// CHECK-LABEL: func @main
// CHECK: lutra.dispatch @map_0
// CHECK: lutra.dispatch @map_0
// CHECK: lutra.dispatch @map_2
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %a = lutra.dispatch @map_0[] (%x) outs(%e : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  %b = lutra.dispatch @map_1[] (%a) outs(%e : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  %c = lutra.dispatch @map_2[] (%b) outs(%e : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  return %c : tensor<4xf32>
}

// CHECK: func private @map_0
func.func private @map_0(%x: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel} {
  %r = linalg.copy ins(%x : tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32> loc("one")
  return %r : tensor<4xf32>
}
// CHECK-NOT: @map_1
func.func private @map_1(%x: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel} {
  %r = linalg.copy ins(%x : tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32> loc("two")
  return %r : tensor<4xf32>
}
// CHECK: func private @map_2
func.func private @map_2(%x: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel} {
  %z = arith.constant 0.0 : f32
  %r = linalg.fill ins(%z : f32) outs(%o : tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// Two that are declared are not compared.
// CHECK: func private @declared_0
// CHECK: func private @declared_1
func.func private @declared_0(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel}
func.func private @declared_1(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel}
