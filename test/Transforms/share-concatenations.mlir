// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(share-concatenations,canonicalize))' | FileCheck %s

// What begins with all parts of another is joined of that and the rest, however
// many begin with each other.

// CHECK-LABEL: func.func @layers
// CHECK: %[[E2:.*]] = tensor.empty() : tensor<2x5xf32>
// CHECK: tensor.insert_slice %arg0 into %[[E2]]
// CHECK: %[[AB:.*]] = tensor.insert_slice %arg1
// CHECK: %[[E3:.*]] = tensor.empty() : tensor<2x9xf32>
// CHECK: %[[J3:.*]] = tensor.insert_slice %[[AB]] into %[[E3]][0, 0] [2, 5] [1, 1]
// CHECK: %[[ABC:.*]] = tensor.insert_slice %arg2 into %[[J3]][0, 5] [2, 4] [1, 1]
// CHECK: %[[E4:.*]] = tensor.empty() : tensor<2x10xf32>
// CHECK: %[[J4:.*]] = tensor.insert_slice %[[ABC]] into %[[E4]][0, 0] [2, 9] [1, 1]
// CHECK: %[[ABCD:.*]] = tensor.insert_slice %arg3 into %[[J4]][0, 9] [2, 1] [1, 1]
// CHECK: return %[[AB]], %[[ABC]], %[[ABCD]]
func.func @layers(%a: tensor<2x2xf32>, %b: tensor<2x3xf32>, %c: tensor<2x4xf32>, %d: tensor<2x1xf32>)
    -> (tensor<2x5xf32>, tensor<2x9xf32>, tensor<2x10xf32>) {
  %e2 = tensor.empty() : tensor<2x5xf32>
  %a2 = tensor.insert_slice %a into %e2[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x5xf32>
  %ab = tensor.insert_slice %b into %a2[0, 2] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x5xf32>
  %e3 = tensor.empty() : tensor<2x9xf32>
  %a3 = tensor.insert_slice %a into %e3[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x9xf32>
  %b3 = tensor.insert_slice %b into %a3[0, 2] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x9xf32>
  %abc = tensor.insert_slice %c into %b3[0, 5] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<2x9xf32>
  %e4 = tensor.empty() : tensor<2x10xf32>
  %a4 = tensor.insert_slice %a into %e4[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x10xf32>
  %b4 = tensor.insert_slice %b into %a4[0, 2] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x10xf32>
  %c4 = tensor.insert_slice %c into %b4[0, 5] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<2x10xf32>
  %abcd = tensor.insert_slice %d into %c4[0, 9] [2, 1] [1, 1] : tensor<2x1xf32> into tensor<2x10xf32>
  return %ab, %abc, %abcd : tensor<2x5xf32>, tensor<2x9xf32>, tensor<2x10xf32>
}

// Sizes that are known at run time are the same values.

// CHECK-LABEL: func.func @symbolic
// CHECK: %[[AB:.*]] = tensor.insert_slice %arg1 {{.*}}[%arg3, 0]
// CHECK: tensor.insert_slice %[[AB]] into %{{.*}}[0, 0] [%[[S2:.*]], %arg4] [1, 1]
// CHECK: tensor.insert_slice %arg2 into %{{.*}}[%[[S2]], 0] [%arg3, %arg4] [1, 1]
func.func @symbolic(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>, %c: tensor<?x?xf32>, %n: index, %m: index)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %n2 = affine.apply affine_map<()[s] -> (s * 2)>()[%n]
  %n3 = affine.apply affine_map<()[s] -> (s * 3)>()[%n]
  %e2 = tensor.empty(%n2, %m) : tensor<?x?xf32>
  %a2 = tensor.insert_slice %a into %e2[0, 0] [%n, %m] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %ab = tensor.insert_slice %b into %a2[%n, 0] [%n, %m] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %e3 = tensor.empty(%n3, %m) : tensor<?x?xf32>
  %a3 = tensor.insert_slice %a into %e3[0, 0] [%n, %m] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %b3 = tensor.insert_slice %b into %a3[%n, 0] [%n, %m] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %abc = tensor.insert_slice %c into %b3[%n2, 0] [%n, %m] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  return %ab, %abc : tensor<?x?xf32>, tensor<?x?xf32>
}

// Not where the parts lie at other places, the other tensor is longer than its
// parts, or it comes later.

// CHECK-LABEL: func.func @other
// CHECK-COUNT-8: tensor.insert_slice %arg{{[0-2]}} into
// CHECK-NOT: tensor.insert_slice
func.func @other(%a: tensor<2x2xf32>, %b: tensor<2x2xf32>, %c: tensor<2x2xf32>)
    -> (tensor<4x2xf32>, tensor<2x6xf32>, tensor<2x5xf32>) {
  %e2 = tensor.empty() : tensor<4x2xf32>
  %a2 = tensor.insert_slice %a into %e2[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<4x2xf32>
  %ab = tensor.insert_slice %b into %a2[2, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<4x2xf32>
  %e3 = tensor.empty() : tensor<2x6xf32>
  %a3 = tensor.insert_slice %a into %e3[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x6xf32>
  %b3 = tensor.insert_slice %b into %a3[0, 2] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x6xf32>
  %abc = tensor.insert_slice %c into %b3[0, 4] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x6xf32>
  %e4 = tensor.empty() : tensor<2x5xf32>
  %a4 = tensor.insert_slice %a into %e4[0, 0] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x5xf32>
  %ab4 = tensor.insert_slice %b into %a4[0, 2] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x5xf32>
  %abc4 = tensor.insert_slice %c into %ab4[0, 3] [2, 2] [1, 1] : tensor<2x2xf32> into tensor<2x5xf32>
  return %ab, %abc, %abc4 : tensor<4x2xf32>, tensor<2x6xf32>, tensor<2x5xf32>
}
