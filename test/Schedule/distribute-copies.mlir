// RUN: lutra-opt %s -distribute-copies | FileCheck %s

// Two rows of 122 x 96 are worth a task.
// CHECK-LABEL: func private @pad
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<?x122x122x96xi8>, %[[N:[a-z0-9]*]]: index, %[[Y:[a-z0-9]*]]: tensor<?x124x124x96xi8>
// CHECK: scf.forall (%[[B:.*]], %[[R:.*]]) = (0, 0) to (%[[N]], 122) step (1, 2) shared_outs(%[[OUT:.*]] = %[[Y]])
// CHECK: %[[TO:.*]] = affine.apply #{{.*}}(%[[R]])
// CHECK: %[[PART:.*]] = tensor.extract_slice %[[X]][%[[B]], %[[R]], 0, 0] [%{{.*}}, %{{.*}}, 122, 96]
// CHECK: tensor.parallel_insert_slice %[[PART]] into %[[OUT]][%[[B]], %[[TO]], 1, 0] [%{{.*}}, %{{.*}}, 122, 96]
func.func private @pad(%x: tensor<?x122x122x96xi8>, %n: index, %y: tensor<?x124x124x96xi8>) -> tensor<?x124x124x96xi8> attributes {lutra.kernel} {
  %0 = tensor.insert_slice %x into %y[0, 1, 1, 0] [%n, 122, 122, 96] [1, 1, 1, 1] : tensor<?x122x122x96xi8> into tensor<?x124x124x96xi8>
  return %0 : tensor<?x124x124x96xi8>
}

// Each part of a concatenation, unless it is short.
// CHECK-LABEL: func private @concat
// CHECK: tensor.insert_slice
// CHECK: scf.forall (%{{.*}}) = (0) to (100000) step (32768)
// CHECK-NOT: tensor.insert_slice
func.func private @concat(%x: tensor<100xf32>, %y: tensor<100000xf32>, %z: tensor<100100xf32>) -> tensor<100100xf32> attributes {lutra.kernel} {
  %0 = tensor.insert_slice %x into %z[0] [100] [1] : tensor<100xf32> into tensor<100100xf32>
  %1 = tensor.insert_slice %y into %0[100] [100000] [1] : tensor<100000xf32> into tensor<100100xf32>
  return %1 : tensor<100100xf32>
}

// What is computed in its place is not copied.
// CHECK-LABEL: func private @computed
// CHECK-NOT: scf.forall
func.func private @computed(%x: f32, %z: tensor<100100xf32>) -> tensor<100100xf32> attributes {lutra.kernel} {
  %place = tensor.extract_slice %z[100] [100000] [1] : tensor<100100xf32> to tensor<100000xf32>
  %filled = linalg.fill ins(%x : f32) outs(%place : tensor<100000xf32>) -> tensor<100000xf32>
  %0 = tensor.insert_slice %filled into %z[100] [100000] [1] : tensor<100000xf32> into tensor<100100xf32>
  return %0 : tensor<100100xf32>
}

// The host copies nothing.
// CHECK-LABEL: func private @host
// CHECK-NOT: scf.forall
func.func private @host(%x: tensor<100000xf32>, %z: tensor<100100xf32>) -> tensor<100100xf32> {
  %0 = tensor.insert_slice %x into %z[100] [100000] [1] : tensor<100000xf32> into tensor<100100xf32>
  return %0 : tensor<100100xf32>
}

// CHECK: func private @declared
func.func private @declared(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel}
