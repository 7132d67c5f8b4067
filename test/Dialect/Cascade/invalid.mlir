// What the verifiers refuse of cascades and Einsums.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics

func.func @rank_twice(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  // expected-error @below {{expects rank 'p' once}}
  %y = cascade.cascade ranks(p = %n, m = 128, p = 4) {
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @negative_extent(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  // expected-error @below {{expects rank 'p' to have an extent of at least 0, got -4}}
  %y = cascade.cascade ranks(p = -4, m = 128) {
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @extents(%n: index) {
  // expected-error @below {{expects an extent for each of 2 ranks}}
  "cascade.cascade"(%n) <{ranks = ["p", "m"], staticExtents = array<i64: 4, 128>}> ({
    cascade.yield
  }) : (index) -> ()
  return
}

// -----

func.func @nameless() {
  // expected-error @below {{expects ranks to have names}}
  "cascade.cascade"() <{ranks = [""], staticExtents = array<i64: 4>}> ({
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @no_terminator() {
  // expected-error @below {{expects a non-empty block}}
  "cascade.cascade"() <{ranks = [], staticExtents = array<i64>}> ({
  ^bb0:
  }) : () -> ()
  return
}

// -----

func.func @arguments() {
  // expected-error @below {{expects no arguments of the body}}
  "cascade.cascade"() <{ranks = [], staticExtents = array<i64>}> ({
  ^bb0(%i: index):
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @yields() -> tensor<4xf32> {
  // expected-error @below {{expects to yield what it results in, 'tensor<4xf32>'}}
  %y = cascade.cascade ranks(m = 4) {
    cascade.yield
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @yields_what_was_there(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{expects to yield what it computes}}
  %y = cascade.cascade ranks(m = 4) {
    cascade.yield %x : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @not_einsum(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{expects Einsums, got arith.addf}}
  %y = cascade.cascade ranks(m = 4) {
    %a = arith.addf %x, %x : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @unknown_rank(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects a rank of the cascade, got 'q'}}
    %a = cascade.einsum [p, q] (%x[p, q]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @iterated_twice(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects rank 'p' once}}
    %a = cascade.einsum [p, p] (%x[p, p]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @ranks_disagree(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 64) {
    // expected-error @below {{expects dimension 1 of input 0 to have the extent 64 of rank 'm', got 128}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @ranks_disagree_result(%x: tensor<?x128xf32>, %n: index) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects dimension 0 of the result to have the extent 128 of rank 'm', got 4}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @ranks_disagree_mask(%x: tensor<?x128xf32>, %k: tensor<4xi8>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects dimension 0 of the mask to have the extent 128 of rank 'm', got 4}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) mask(%k[m]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>, tensor<4xi8>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @mask_type(%x: tensor<?x128xf32>, %k: tensor<128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects a mask of integers, got 'tensor<128xf32>'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) mask(%k[m]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>, tensor<128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @indices(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 2 indices over 2 ranks for input 0, got affine_map<(d0, d1) -> (d0)>}}
    %a = cascade.einsum [p, m] (%x[p]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @scalar_indices(%x: f32, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 0 indices over 2 ranks for input 0, got affine_map<(d0, d1) -> (d0)>}}
    %a = cascade.einsum [p, m] (%x[p]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (f32) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @memref(%x: memref<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects input 0 to be a ranked tensor or a scalar, got 'memref<?x128xf32>'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (memref<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @unranked(%x: tensor<*xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects input 0 to be a ranked tensor or a scalar, got 'tensor<*xf32>'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<*xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @index_by_zero(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects index 1 of input 0 to be affine in rank 'm', got affine_map<(d0, d1) -> (d0, d1 floordiv 0)>}}
    %a = cascade.einsum [p, m] (%x[p, m floordiv 0]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @map_missing(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects 2 maps, got 1}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @map_dims(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects 1 indices over 1 ranks for input 0, got affine_map<(d0, d1) -> (d1)>}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @map_symbols(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects 1 indices over 1 ranks for input 0, got affine_map<(d0)[s0] -> (d0 + s0)>}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0)[s0] -> (d0 + s0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @result_map_dims(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects 1 indices over 1 ranks for the result, got affine_map<() -> (0)>}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<() -> (0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @body_arguments(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects 1 arguments of the body, got 0}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @body_argument_type(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects argument 0 of the body to be 'f32', got 'f64'}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f64):
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @body_yields(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects the body to yield one 'f32'}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @body_empty(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects a non-empty block}}
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @body_no_yield(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    %a = "cascade.einsum"(%x) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      // expected-error @below {{block with no terminator}}
      %c = arith.addf %e, %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func private @side_effects_of()

func.func @side_effects(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects a body without side effects, got func.call}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      func.call @side_effects_of() : () -> ()
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @gathers_of_the_cascade(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    // expected-error @below {{expects each tensor that the body reads to be an input, or an element of it to be extracted where it is from outside of the cascade, got one of type 'tensor<?x128xf32>'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      %i = cascade.index "m"
      %g = tensor.extract %s[%i, %i] : tensor<?x128xf32>
      cascade.yield %g : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @result_twice(%x: tensor<?x128xf32>, %n: index) -> tensor<128x128xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects rank 'm' once in the result}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [m, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<128x128xf32>
    cascade.yield %a : tensor<128x128xf32>
  } : tensor<128x128xf32>
  return %y : tensor<128x128xf32>
}

// -----

func.func @result_expression(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects a result that is indexed by ranks, got affine_map<(d0, d1) -> (d0 + 1)>}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p + 1] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @no_reduction(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects rank 'm' in the result, or a reduction}}
    %a = cascade.einsum [p, m] (%x[p, m]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @no_identity(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 'and' over a type that it is defined for, got 'f32'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(and) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @no_identity_of_index(%x: tensor<?x128xindex>, %n: index) -> tensor<?xindex> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects an init, since 'max' over rank 'm' has no identity in 'index'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: index):
      cascade.yield %e : index
    } : (tensor<?x128xindex>) -> tensor<?xindex>
    cascade.yield %a : tensor<?xindex>
  } : tensor<?xindex>
  return %y : tensor<?xindex>
}

// -----

func.func @unsigned_reduction(%x: tensor<?x128xui8>, %n: index) -> tensor<?xui8> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 'max' over a type that it is defined for, got 'ui8'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: ui8):
      cascade.yield %e : ui8
    } : (tensor<?x128xui8>) -> tensor<?xui8>
    cascade.yield %a : tensor<?xui8>
  } : tensor<?xui8>
  return %y : tensor<?xui8>
}

// -----

func.func @complex_reduction(%x: tensor<?x128xcomplex<f32>>, %n: index) -> tensor<?xcomplex<f32>> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 'add' over a type that it is defined for, got 'complex<f32>'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%e: complex<f32>):
      cascade.yield %e : complex<f32>
    } : (tensor<?x128xcomplex<f32>>) -> tensor<?xcomplex<f32>>
    cascade.yield %a : tensor<?xcomplex<f32>>
  } : tensor<?xcomplex<f32>>
  return %y : tensor<?xcomplex<f32>>
}

// -----

func.func @no_bits(%x: tensor<?x128xi0>, %n: index) -> tensor<?xi0> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects 'max' over a type that it is defined for, got 'i0'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: i0):
      cascade.yield %e : i0
    } : (tensor<?x128xi0>) -> tensor<?xi0>
    cascade.yield %a : tensor<?xi0>
  } : tensor<?xi0>
  return %y : tensor<?xi0>
}

// -----

func.func @unsigned_float(%x: tensor<?x128xf8E8M0FNU>, %n: index) -> tensor<?xf8E8M0FNU> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects an init, since 'add' over rank 'm' has no identity in 'f8E8M0FNU'}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%e: f8E8M0FNU):
      cascade.yield %e : f8E8M0FNU
    } : (tensor<?x128xf8E8M0FNU>) -> tensor<?xf8E8M0FNU>
    cascade.yield %a : tensor<?xf8E8M0FNU>
  } : tensor<?xf8E8M0FNU>
  return %y : tensor<?xf8E8M0FNU>
}

// -----

func.func @init_type(%x: tensor<?x128xf32>, %i: tensor<4xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects an init of type 'tensor<?xf32>', got 'tensor<4xf32>'}}
    %a = "cascade.einsum"(%x, %i) <{iter = ["p", "m"], maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], monoid = 0 : i32, operandSegmentSizes = array<i32: 1, 0, 0, 1>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<?x128xf32>, tensor<4xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @filter_without_reduction(%x: tensor<?x128xf32>, %n: index) -> tensor<?x128xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects a reduction where there is a filter, a mask or an init}}
    %a = cascade.einsum [p, m] (%x[p, m]) filters([affine_set<(d0, d1) : (d0 - d1 >= 0)>]) -> [p, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    cascade.yield %a : tensor<?x128xf32>
  } : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// -----

func.func @filter_ranks(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects filters over 2 ranks and 0 symbols, got affine_set<(d0) : (d0 >= 0)>}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(d0) : (d0 >= 0)>]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @filter_symbols(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects filters over 2 ranks and 1 symbols, got affine_set<(d0, d1) : (d0 - d1 >= 0)>}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1) : (d0 - d1 >= 0)>][%n]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @filter_product(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects filters that are affine in rank 'm', got affine_set<(d0, d1)[s0] : (d0 + d1 * s0 >= 0)>}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1)[s0] : (d0 + d1 * s0 >= 0)>][%n]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @filter_quotient(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{expects filters that are affine in rank 'p', got affine_set<(d0, d1)[s0] : (d0 floordiv s0 - d1 >= 0)>}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1)[s0] : (d0 floordiv s0 - d1 >= 0)>][%n]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @filter_not_affine(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    // expected-error @below {{non-affine expression}}
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1) : (d0 * d1 >= 0)>]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @symbols_without_filters(%x: tensor<4xf32>, %n: index) -> tensor<f32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects no symbols without filters}}
    %a = "cascade.einsum"(%x, %n) <{iter = ["m"], maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], monoid = 0 : i32, operandSegmentSizes = array<i32: 1, 0, 1, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>, index) -> tensor<f32>
    cascade.yield %a : tensor<f32>
  } : tensor<f32>
  return %y : tensor<f32>
}

// -----

func.func @unguarded_quotient(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) filters([affine_set<(d0, d1) : (d0 - d1 >= 0)>]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    // expected-error @below {{expects cascade.divide by the sum over rank 'm', all of whose points may be absent}}
    %a = cascade.einsum [p] (%s[p]) -> [p] {
    ^bb0(%e: f32):
      %c = arith.constant 1.0 : f32
      %r = arith.divf %c, %e : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @unguarded_quotient_by_masked(%x: tensor<?x128xf32>, %k: tensor<128xi1>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) mask(%k[m]) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>, tensor<128xi1>) -> tensor<?xf32>
    // expected-error @below {{expects cascade.divide by the sum over rank 'm', all of whose points may be absent}}
    %a = cascade.einsum [p] (%s[p]) -> [p] {
    ^bb0(%e: f32):
      %c = arith.constant 1.0 : f32
      %r = arith.divf %c, %e : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// A sum over no rank is one of its points, or 0; and the quotient stands before it.
func.func @quotient_before_sum(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{operand #0 does not dominate this use}}
    %a = cascade.einsum [m] (%s[m]) -> [m] {
    ^bb0(%e: f32):
      %r = arith.divf %e, %e : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    // expected-note @below {{operand defined here}}
    %s = cascade.einsum [m] (%x[m]) reduce(add) filters([affine_set<(d0) : (d0 >= 2)>]) -> [m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @index_rank(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %a = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      // expected-error @below {{expects a rank of the Einsum around it, got 'q'}}
      %i = cascade.index "q"
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @index_outside() {
  // expected-error @below {{expects a rank of the Einsum around it, got 'm'}}
  %i = cascade.index "m"
  return
}

// -----

func.func @einsum_outside(%x: tensor<4xf32>) {
  // expected-error @below {{expects parent op to be one of 'cascade.cascade, cascade.iterate'}}
  %a = cascade.einsum [m] (%x[m]) -> [m] {
  ^bb0(%e: f32):
    cascade.yield %e : f32
  } : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @monoid_name(%x: tensor<4xf32>) {
  cascade.cascade ranks(m = 4) {
    // expected-error @below {{expected add, mul, max, min, and, or; got xor}}
    %a = cascade.einsum [m] (%x[m]) reduce(xor) -> [] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<4xf32>) -> tensor<f32>
  } : tensor<f32>
}

// -----

func.func @operand_types(%x: tensor<4xf32>) {
  cascade.cascade ranks(m = 4) {
    %a = cascade.einsum [m] (%x[m]) -> [m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    // expected-error @below {{expected the types of 1 operands, got 2}}
    } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  } : tensor<f32>
}
