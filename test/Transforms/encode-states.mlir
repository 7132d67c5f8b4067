// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(encode-states))' | FileCheck %s

#shape = affine_map<()[s0, s1] -> (2, 64, 16)>
#q = affine_map<(b, m, n, k) -> (b, m, k)>
#k = affine_map<(b, m, n, k) -> (b, n, k)>
#o = affine_map<(b, m, n, k) -> (b, m, n)>
#v = affine_map<(b, m, n, k) -> (b, k, n)>

// Keys are read along their length, which becomes the innermost dimension; what
// is appended is transposed. Values are read along what is innermost already.
// CHECK-DAG: #[[SWAP:.*]] = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
// CHECK-DAG: #[[KEYS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>
// CHECK-DAG: #[[SHAPE:.*]] = affine_map<()[s0, s1] -> (2, 16, 64)>
// CHECK-LABEL: func @attend
// CHECK-SAME: -> (tensor<2x?x16xf32>, tensor<2x16x64xf32> {lutra.state = "key"}, tensor<2x64x16xf32> {lutra.state = "value"})
// CHECK: %[[KEY:.*]] = lutra.state "key" axis 2() {dtype = "FLOAT", shape = #[[SHAPE]]} : tensor<2x16x64xf32>
// CHECK: lutra.state "value" axis 1() {{.*}} : tensor<2x64x16xf32>
// CHECK: %[[MOVED:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #[[SWAP]]]
// CHECK: tensor.insert_slice %[[MOVED]] into %[[KEY]][0, 0, %{{.*}}]
// CHECK: %[[READ:.*]] = tensor.extract_slice %{{.*}}[0, 0, 0] [2, 16, %{{.*}}]
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[KEYS]], #{{.*}}]{{.*}} ins(%{{.*}}, %[[READ]]
func.func @attend(%q: tensor<2x?x16xf32>, %key: tensor<2x?x16xf32>, %value: tensor<2x?x16xf32>, %p: index, %s: index, %t: index)
    -> (tensor<2x?x16xf32>, tensor<2x64x16xf32> {lutra.state = "key"}, tensor<2x64x16xf32> {lutra.state = "value"}) {
  %zero = arith.constant 0.0 : f32
  %keys = lutra.state "key" axis 1 () {dtype = "FLOAT", shape = #shape} : tensor<2x64x16xf32>
  %values = lutra.state "value" axis 1 () {dtype = "FLOAT", shape = #shape} : tensor<2x64x16xf32>
  %src = tensor.empty(%s) : tensor<2x?x16xf32>
  %k0 = tensor.insert_slice %src into %keys[0, %p, 0] [2, %s, 16] [1, 1, 1] : tensor<2x?x16xf32> into tensor<2x64x16xf32>
  %v0 = tensor.insert_slice %src into %values[0, %p, 0] [2, %s, 16] [1, 1, 1] : tensor<2x?x16xf32> into tensor<2x64x16xf32>
  %k1 = tensor.extract_slice %k0[0, 0, 0] [2, %t, 16] [1, 1, 1] : tensor<2x64x16xf32> to tensor<2x?x16xf32>
  %v1 = tensor.extract_slice %v0[0, 0, 0] [2, %t, 16] [1, 1, 1] : tensor<2x64x16xf32> to tensor<2x?x16xf32>
  %e = tensor.empty(%s, %t) : tensor<2x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #o], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k1 : tensor<2x?x16xf32>, tensor<2x?x16xf32>) outs(%e : tensor<2x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x?x?xf32>
  %e2 = tensor.empty(%s) : tensor<2x?x16xf32>
  %y = linalg.generic {indexing_maps = [#q, #v, #o], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%scores, %v1 : tensor<2x?x?xf32>, tensor<2x?x16xf32>) outs(%e2 : tensor<2x?x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x?x16xf32>
  return %y, %k0, %v0 : tensor<2x?x16xf32>, tensor<2x64x16xf32>, tensor<2x64x16xf32>
}

// A state that something else reads too keeps its layout.
// CHECK-LABEL: func @shared
// CHECK: lutra.state "key" axis 1() {{.*}} : tensor<2x64x16xf32>
func.func @shared(%q: tensor<2x?x16xf32>, %src: tensor<2x?x16xf32>, %p: index, %s: index, %t: index)
    -> (tensor<2x?x?xf32>, tensor<2x?x16xf32>, tensor<2x64x16xf32> {lutra.state = "key"}) {
  %keys = lutra.state "key" axis 1 () {dtype = "FLOAT", shape = #shape} : tensor<2x64x16xf32>
  %k0 = tensor.insert_slice %src into %keys[0, %p, 0] [2, %s, 16] [1, 1, 1] : tensor<2x?x16xf32> into tensor<2x64x16xf32>
  %k1 = tensor.extract_slice %k0[0, 0, 0] [2, %t, 16] [1, 1, 1] : tensor<2x64x16xf32> to tensor<2x?x16xf32>
  %e = tensor.empty(%s, %t) : tensor<2x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #o], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k1 : tensor<2x?x16xf32>, tensor<2x?x16xf32>) outs(%e : tensor<2x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x?x?xf32>
  %x = math.exp %k1 : tensor<2x?x16xf32>
  return %scores, %x, %k0 : tensor<2x?x?xf32>, tensor<2x?x16xf32>, tensor<2x64x16xf32>
}
