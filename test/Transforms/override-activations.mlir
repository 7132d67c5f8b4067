// What activations of products with codes are, whatever the model says.
// RUN: lutra-opt %s --pass-pipeline="builtin.module(func.func(override-activations{spec=*head*=a32;*mlp*=a8;skip=a8}))" --verify-diagnostics | FileCheck %s
// RUN: not lutra-opt %s --pass-pipeline="builtin.module(func.func(override-activations{spec=a16}))" 2>&1 | FileCheck %s --check-prefix=SPEC
// SPEC: error: expected a8 or a32, each also as PATTERN=, got 'a16'

// By the name of the node.
// CHECK-LABEL: func.func @to_integers
// CHECK: %[[C:.*]], %[[S:.*]], %[[T:.*]] = mpgemm.quantize_act %arg0 : tensor<?x4x32xf32> -> tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%[[C]] : {{.*}}) codes(%arg1 : {{.*}}) scales(%arg2 : {{.*}}) xscales(%[[S]] : {{.*}}) xsums(%[[T]] : {{.*}})
func.func @to_integers(%x: tensor<?x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf16>,
                       %e: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
      x(%x : tensor<?x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf16>) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32> loc("/mlp/up")
  return %y : tensor<?x40xf32>
}

// By the name of the weight. Another reader of the integers keeps them.
// CHECK-LABEL: func.func @to_floats
// CHECK: %[[C:.*]], %{{.*}}, %{{.*}} = mpgemm.quantize_act %arg0
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%arg0 : tensor<2x4x32xf32>) codes(%{{.*}} : {{.*}}) scales(%arg1 : {{.*}}) outs(
// CHECK: return %{{.*}}, %[[C]]
func.func @to_floats(%x: tensor<2x4x32xf32>, %s: tensor<40x4xf32>,
                     %e: tensor<2x40xf32>) -> (tensor<2x40xf32>, tensor<2x4x32xi8>) {
  %w = lutra.weight "lm_head.weight" from "m.onnx"[0, 5120] storage tensor<40x4x32xi8> : tensor<40x4x32xi8>
  %c, %xs, %t = mpgemm.quantize_act %x : tensor<2x4x32xf32> -> tensor<2x4x32xi8>, tensor<2x4xf32>, tensor<2x4xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
      x(%c : tensor<2x4x32xi8>) codes(%w : tensor<40x4x32xi8>) scales(%s : tensor<40x4xf32>)
      xscales(%xs : tensor<2x4xf32>) xsums(%t : tensor<2x4xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y, %c : tensor<2x40xf32>, tensor<2x4x32xi8>
}

// Experts.
// CHECK-LABEL: func.func @experts
// CHECK: %[[C:.*]], %[[S:.*]], %[[T:.*]] = mpgemm.quantize_act %arg2
// CHECK: mpgemm.gather_matmul {{.*}} x(%[[C]] : {{.*}} xscales(%[[S]] : {{.*}} xsums(%[[T]] :
func.func @experts(%e: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<8x2x32xf32>, %w: tensor<80x2x32xi8>,
                   %s: tensor<80x2xf32>, %i: tensor<8x40xf32>) -> tensor<8x40xf32> {
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8>
      experts(%e : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<8x2x32xf32>) codes(%w : tensor<80x2x32xi8>)
      scales(%s : tensor<80x2xf32>) outs(%i : tensor<8x40xf32>) -> tensor<8x40xf32> loc("/mlp/experts")
  return %y : tensor<8x40xf32>
}

// Integers of the model's own stay, and what no rule is for.
// CHECK-LABEL: func.func @others
// CHECK-NOT: mpgemm.quantize_act
// CHECK: x(%arg0 : tensor<2x1x32xi8>)
// CHECK: x(%arg4 : tensor<2x1x32xf32>)
func.func @others(%x: tensor<2x1x32xi8>, %t: tensor<2x1xi32>, %w: tensor<40x1x32xi8>, %e: tensor<2x40xi32>, %f: tensor<2x1x32xf32>,
                  %s: tensor<40x1xf32>, %g: tensor<2x40xf32>) -> (tensor<2x40xi32>, tensor<2x40xf32>) {
  %y = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128>
      x(%x : tensor<2x1x32xi8>) codes(%w : tensor<40x1x32xi8>) xsums(%t : tensor<2x1xi32>) outs(%e : tensor<2x40xi32>) -> tensor<2x40xi32> loc("head")
  %z = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128>
      x(%f : tensor<2x1x32xf32>) codes(%w : tensor<40x1x32xi8>)
      scales(%s : tensor<40x1xf32>) outs(%g : tensor<2x40xf32>) -> tensor<2x40xf32> loc("other")
  return %y, %z : tensor<2x40xi32>, tensor<2x40xf32>
}

// CHECK-LABEL: func.func @no_integers
// CHECK-NOT: mpgemm.quantize_act
func.func @no_integers(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>,
                       %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  // expected-warning @unknown {{activations stay f32, though 'skip=a8': its codes stand for no integers of 8 bits}}
  %y = mpgemm.matmul #mpgemm.codebook<bits = 1, values = [-1.25, 1.0]>
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>) scales(%s : tensor<40x4xf32>)
      outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32> loc("skip")
  return %y : tensor<2x40xf32>
}
