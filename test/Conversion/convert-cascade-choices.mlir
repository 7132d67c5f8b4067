// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg))' | FileCheck %s

// Rows outside, the elements of a row inside. One that is no better than the last
// of the list, once that is full, changes nothing; for any other a place is found,
// behind those that are as good.
// CHECK-LABEL: func.func @largest
// CHECK-SAME: %[[X:.*]]: tensor<64x?xf16>, %[[P:.*]]: index
// CHECK: %[[V:.*]] = tensor.empty(%[[P]]) : tensor<4x?xf16>
// CHECK: %[[I:.*]] = tensor.empty(%[[P]]) : tensor<4x?xi64>
// CHECK: scf.for %[[ROW:.*]] = %{{.*}} to %[[P]] {{.*}} iter_args(%{{.*}} = %[[V]], %{{.*}} = %[[I]])
// CHECK: scf.for %[[AT:.*]] = %{{.*}} to %c64
// CHECK: tensor.extract %[[X]][%[[AT]], %[[ROW]]]
// CHECK: arith.extf
// CHECK: arith.cmpf ogt
// CHECK: arith.ori
// CHECK: scf.if
// CHECK: scf.for
// CHECK: arith.cmpf ogt
// CHECK: scf.for
// CHECK: tensor.insert
// CHECK: arith.index_cast %[[AT]] : index to i64
func.func @largest(%x: tensor<64x?xf16>, %p: index) -> (tensor<4x?xf16>, tensor<4x?xi64>) {
  %y:2 = cascade.cascade ranks(p = %p, m = 64, n = 4) {
    %v, %i = cascade.top_k %x["m", "p"] along "m" as "n" : tensor<64x?xf16> -> tensor<4x?xf16>, tensor<4x?xi64>
    cascade.yield %v, %i : tensor<4x?xf16>, tensor<4x?xi64>
  } : tensor<4x?xf16>, tensor<4x?xi64>
  return %y#0, %y#1 : tensor<4x?xf16>, tensor<4x?xi64>
}

// CHECK-LABEL: func.func @smallest
// CHECK: %[[E:.*]] = tensor.extract %arg0
// CHECK: %[[LAST:.*]] = tensor.extract
// CHECK: arith.cmpi ugt, %[[LAST]], %[[E]] : i8
func.func @smallest(%x: tensor<64xi8>) -> tensor<4xi8> {
  %y = cascade.cascade ranks(m = 64, n = 4) {
    %v, %i = cascade.top_k %x["m"] along "m" as "n" smallest unsigned : tensor<64xi8> -> tensor<4xi8>, tensor<4xi64>
    cascade.yield %v : tensor<4xi8>
  } : tensor<4xi8>
  return %y : tensor<4xi8>
}
