// Choices among the points of a rank, and what their verifier refuses.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @choices
// CHECK: cascade.top_k %arg0["p", "m"] along "m" as "n" : tensor<?x64xf32> -> tensor<?x4xf32>, tensor<?x4xi64>
// CHECK: cascade.top_k %{{.*}}["p", "n"] along "p" as "o" smallest : tensor<?x4xf32> -> tensor<?x4xf32>, tensor<?x4xi64>
func.func @choices(%x: tensor<?x64xf32>, %p: index, %o: index) -> (tensor<?x4xi64>, tensor<?x4xf32>) {
  %y:2 = cascade.cascade ranks(p = %p, m = 64, n = 4, o = %o) {
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<?x64xf32> -> tensor<?x4xf32>, tensor<?x4xi64>
    %w, %j = cascade.top_k %v["p", "n"] along "p" as "o" smallest : tensor<?x4xf32> -> tensor<?x4xf32>, tensor<?x4xi64>
    cascade.yield %i, %w : tensor<?x4xi64>, tensor<?x4xf32>
  } : tensor<?x4xi64>, tensor<?x4xf32>
  return %y#0, %y#1 : tensor<?x4xi64>, tensor<?x4xf32>
}

// CHECK-LABEL: func.func @numbers
// CHECK: along "m" as "n" unsigned
func.func @numbers(%x: tensor<64xi8>) -> tensor<4xi8> {
  %y = cascade.cascade ranks(m = 64, n = 4) {
    %v, %i = cascade.top_k %x["m"] along "m" as "n" unsigned : tensor<64xi8> -> tensor<4xi8>, tensor<4xi64>
    cascade.yield %v : tensor<4xi8>
  } : tensor<4xi8>
  return %y : tensor<4xi8>
}

// -----

func.func @rank(%x: tensor<8x64xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64, n = 4) {
    // expected-error @below {{expects a rank of the cascade, got 'q'}}
    %v, %i = cascade.top_k %x["q", "m"] along "m" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @rank_twice(%x: tensor<8x64xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64) {
    // expected-error @below {{expects rank 'p' once}}
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "p" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @along(%x: tensor<8x64xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64, k = 64, n = 4) {
    // expected-error @below {{expects to go along a rank of the input, got 'k'}}
    %v, %i = cascade.top_k %x["p", "m"] along "k" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @other_ranks(%x: tensor<8x8xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 8, n = 4) {
    %a = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<8x8xf32>) -> tensor<8x8xf32>
    // expected-error @below {{expects the input over [p, m], got [m, p]}}
    %v, %i = cascade.top_k %a["m", "p"] along "p" as "n" : tensor<8x8xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @dimensions(%x: tensor<64xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64, n = 4) {
    // expected-error @below {{expects the input of 2 dimensions, got 'tensor<64xf32>'}}
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @extent(%x: tensor<8x32xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64, n = 4) {
    // expected-error @below {{expects the input to have extent 64 along rank 'm', got 32}}
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<8x32xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @result_extent(%x: tensor<8x64xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade ranks(p = 8, m = 64, n = 4) {
    // expected-error @below {{expects indices to have extent 4 along rank 'n', got 5}}
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x5xi64>
    cascade.yield %v : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @types(%x: tensor<64xf32>) -> tensor<4xf16> {
  %y = cascade.cascade ranks(m = 64, n = 4) {
    // expected-error @below {{expects values of the input's type, which are numbers, got 'f16' of 'f32'}}
    %v, %i = cascade.top_k %x["m"] along "m" as "n" : tensor<64xf32> -> tensor<4xf16>, tensor<4xi64>
    cascade.yield %v : tensor<4xf16>
  } : tensor<4xf16>
  return %y : tensor<4xf16>
}

// -----

func.func @index_type(%x: tensor<64xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 64, n = 4) {
    // expected-error @below {{expects indices of i64, got 'i32'}}
    %v, %i = cascade.top_k %x["m"] along "m" as "n" : tensor<64xf32> -> tensor<4xf32>, tensor<4xi32>
    cascade.yield %v : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @too_many(%x: tensor<4xf32>) -> tensor<5xf32> {
  %y = cascade.cascade ranks(m = 4, n = 5) {
    // expected-error @below {{expects to choose at most 4 of rank 'm', got 5}}
    %v, %i = cascade.top_k %x["m"] along "m" as "n" : tensor<4xf32> -> tensor<5xf32>, tensor<5xi64>
    cascade.yield %v : tensor<5xf32>
  } : tensor<5xf32>
  return %y : tensor<5xf32>
}
