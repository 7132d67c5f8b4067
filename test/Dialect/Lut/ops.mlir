// RUN: lutra-opt %s | lutra-opt | FileCheck %s

// CHECK-LABEL: func.func @build
// CHECK: lut.build %{{.*}} values [-1.000000e+00, 1.000000e+00] depth 4 : tensor<?x3x32xf32> -> tensor<?x3x2x64xi8>, tensor<?x3xf32>, tensor<?x3xf32>
func.func @build(%x: tensor<?x3x32xf32>) -> tensor<?x3x2x64xi8> {
  %t, %s, %u = lut.build %x values [-1.0, 1.0] depth 4 : tensor<?x3x32xf32> -> tensor<?x3x2x64xi8>, tensor<?x3xf32>, tensor<?x3xf32>
  return %t : tensor<?x3x2x64xi8>
}

// CHECK-LABEL: func.func @lookup
// CHECK: lut.lookup %{{.*}} in %{{.*}} : vector<32xi8>, vector<16xi8>
func.func @lookup(%keys: vector<32xi8>, %table: vector<16xi8>) -> vector<32xi8> {
  %v = lut.lookup %keys in %table : vector<32xi8>, vector<16xi8>
  return %v : vector<32xi8>
}
