// RUN: lutra-opt %s --split-input-file --verify-diagnostics

func.func @values(%x: tensor<1x1x8xf32>) {
  // expected-error @below {{expects 2, 4 or 16 values, got 3}}
  %t, %s, %u = lut.build %x values [0.0, 1.0, 2.0] depth 4 : tensor<1x1x8xf32> -> tensor<1x1x1x64xi8>, tensor<1x1xf32>, tensor<1x1xf32>
  return
}

// -----

func.func @depth(%x: tensor<1x1x8xf32>) {
  // expected-error @below {{expects a depth of 1 to 16, got -1}}
  %t, %s, %u = lut.build %x values [0.0, 1.0] depth -1 : tensor<1x1x8xf32> -> tensor<1x1x1x64xi8>, tensor<1x1xf32>, tensor<1x1xf32>
  return
}

// -----

func.func @size(%x: tensor<1x1x24xf32>) {
  // expected-error @below {{expects groups of known size, a multiple of 16, got 'tensor<1x1x24xf32>'}}
  %t, %s, %u = lut.build %x values [0.0, 1.0] depth 4 : tensor<1x1x24xf32> -> tensor<1x1x1x64xi8>, tensor<1x1xf32>, tensor<1x1xf32>
  return
}

// -----

func.func @tables(%x: tensor<1x1x32xf32>) {
  // expected-error @below {{expects tables of bytes, 2 of 64 for each group, got 'tensor<1x1x1x64xi8>'}}
  %t, %s, %u = lut.build %x values [0.0, 1.0] depth 4 : tensor<1x1x32xf32> -> tensor<1x1x1x64xi8>, tensor<1x1xf32>, tensor<1x1xf32>
  return
}

// -----

func.func @scales(%x: tensor<1x1x32xf32>) {
  // expected-error @below {{expects scales and sums in f32, one for each group, got 'tensor<1x2xf32>'}}
  %t, %s, %u = lut.build %x values [0.0, 1.0] depth 4 : tensor<1x1x32xf32> -> tensor<1x1x2x64xi8>, tensor<1x2xf32>, tensor<1x1xf32>
  return
}
