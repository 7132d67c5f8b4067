// Tables of sums: the scale of a group from what each number gives at most and at least, and then a map
// over the 16 keys of each table.
// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(convert-lut-to-linalg,canonicalize,cse))' | FileCheck %s

// Codes 0 and 1 stand for -1 and 1, so that the largest entry is as far from 0 as the smallest.
// CHECK-LABEL: func.func @balanced
// CHECK: arith.constant dense<[-1.000000e+00, 1.000000e+00, -1.000000e+00, 1.000000e+00,
// CHECK: %[[X:.*]] = tensor.expand_shape %arg0 {{\[\[}}0], [1], [2, 3, 4]] output_shape [%{{.*}}, 3, 2, 4, 4]
// CHECK: %[[SUMS:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%[[X]]
// CHECK: arith.maximumf
// CHECK: arith.addf
// CHECK: %[[MOST:.*]] = linalg.generic {{.*}} ins(%[[SUMS]] :
// CHECK: arith.maximumf
// CHECK: tensor.extract_slice %[[X]][0, 0, 0, 0, 0] [%{{.*}}, 3, 2, 1, 4]
// CHECK: tensor.extract_slice %[[X]][0, 0, 0, 3, 0] [%{{.*}}, 3, 2, 1, 4]
// CHECK: %[[TABLES:.*]] = linalg.generic {{.*}} ins(%[[MOST]],
// CHECK: math.roundeven
// CHECK: arith.addf %{{.*}}, %{{.*}} : f32
// CHECK: arith.fptoui
// CHECK: tensor.collapse_shape %[[TABLES]] {{\[\[}}0], [1], [2], [3, 4]]
func.func @balanced(%x: tensor<?x3x32xf32>) -> (tensor<?x3x2x64xi8>, tensor<?x3xf32>) {
  %t, %s, %u = lut.build %x values [-1.0, 1.0] depth 4 : tensor<?x3x32xf32> -> tensor<?x3x2x64xi8>, tensor<?x3xf32>, tensor<?x3xf32>
  return %t, %s : tensor<?x3x2x64xi8>, tensor<?x3xf32>
}

// Both ends are asked where they differ.
// CHECK-LABEL: func.func @uneven
// CHECK-COUNT-2: iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]
// CHECK: tensor<2x1x8x1x16xi8>
func.func @uneven(%x: tensor<2x1x16xf32>) -> tensor<2x1x8x16xi8> {
  %t, %s, %u = lut.build %x values [-1.0, 0.0, 1.0, 2.0] depth 1 : tensor<2x1x16xf32> -> tensor<2x1x8x16xi8>, tensor<2x1xf32>, tensor<2x1xf32>
  return %t : tensor<2x1x8x16xi8>
}

// CHECK-LABEL: func.func @sums
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<2x1x16xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[SUM]], %{{.*}} : tensor<2x1xf32>, tensor<2x1xf32>)
// CHECK: arith.divf
func.func @sums(%x: tensor<2x1x16xf32>) -> tensor<2x1xf32> {
  %t, %s, %u = lut.build %x values [-1.0, 0.0, 1.0, 2.0] depth 1 : tensor<2x1x16xf32> -> tensor<2x1x8x16xi8>, tensor<2x1xf32>, tensor<2x1xf32>
  return %u : tensor<2x1xf32>
}
