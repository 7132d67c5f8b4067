// What the verifiers refuse of iterations and states.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics

func.func @iterate_rank(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects a rank of the cascade, got 'q'}}
    %a = cascade.iterate "q" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%x[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @iterate_dim(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expected a dimension of 'tensor<?x128xf32>', got 2}}
    %a = cascade.iterate "m" (%part = %x[2]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @stream_extent(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 64) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects dimension 1 of stream 0 to have the extent 64 of rank 'm', got 128}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @stream_rank(%x: tensor<?x?xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = %n) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %t = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x?xf32>) -> tensor<?x?xf32>
    // expected-error @below {{expects dimension 0 of stream 0 to be rank 'm', got 'p'}}
    %a = cascade.iterate "m" (%part = %t[0]) carry(%s = %z) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @carry_from_outside(%x: tensor<?x128xf32>, %o: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects to carry what the cascade computes}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %o) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @carry_the_rank(%x: tensor<?x128xf32>, %n: index) -> tensor<128xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [m] () -> [m] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<128xf32>
    // expected-error @below {{expects to carry nothing that has rank 'm'}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<128xf32>) {
      cascade.yield %s : tensor<128xf32>
    }
    cascade.yield %a : tensor<128xf32>
  } : tensor<128xf32>
  return %y : tensor<128xf32>
}

// -----

func.func @carry_other_ranks(%x: tensor<?x128xf32>, %n: index) -> tensor<?x?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128, f = %n) {
    %z = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?x?xf32>
    // expected-error @below {{expects to carry a tensor over the ranks [p, f], got [f, p]}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?x?xf32>) {
      %s1 = cascade.einsum [p, f] (%s[p, f]) -> [f, p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      cascade.yield %s1 : tensor<?x?xf32>
    }
    cascade.yield %a : tensor<?x?xf32>
  } : tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @yield_a_part(%x: tensor<128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects to carry what the cascade computes}}
    %a = cascade.iterate "m" (%part = %x[0]) carry(%s = %z) : (tensor<128xf32>), (tensor<?xf32>) {
      cascade.yield %part : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @yield_type(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects to carry 'tensor<?xf32>'}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @whole_in_parts(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      // expected-error @below {{expects dimension 1 of input 0 to be dynamic, as a part of rank 'm', got 128}}
      %s1 = cascade.einsum [p, m] (%x[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @captured_in_parts(%x: tensor<?x?xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x?xf32>), (tensor<?xf32>) {
      // expected-error @below {{expects input 0 to be a part of a stream, since it has rank 'm', which is gone over part by part}}
      %s1 = cascade.einsum [p, m] (%x[p, m], %s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32, %b: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @no_part(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      // expected-error @below {{expects an operand with rank 'm'}}
      %s1 = cascade.einsum [p, m] (%s[p]) reduce(add) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @nested(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // expected-error @below {{expects Einsums, got arith.negf}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %z) : (tensor<?x128xf32>), (tensor<?xf32>) {
      %s1 = arith.negf %s : tensor<?xf32>
      %s2 = cascade.einsum [p] (%s[p]) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %s2 : tensor<?xf32>
    }
    cascade.yield %a : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

func.func @streams_without_dims(%x: tensor<4xf32>) {
  "cascade.cascade"() <{ranks = ["m"], staticExtents = array<i64: 4>}> ({
    // expected-error @below {{expects a dimension for each stream}}
    "cascade.iterate"(%x) <{rank = "m", dims = array<i64>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    ^bb0(%part: tensor<?xf32>):
      cascade.yield
    }) : (tensor<4xf32>) -> ()
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @iterate_arguments(%x: tensor<4xf32>) {
  "cascade.cascade"() <{ranks = ["m"], staticExtents = array<i64: 4>}> ({
    // expected-error @below {{expects 1 arguments of the body, got 2}}
    "cascade.iterate"(%x) <{rank = "m", dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    ^bb0(%part: tensor<?xf32>, %s: tensor<?xf32>):
      cascade.yield
    }) : (tensor<4xf32>) -> ()
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @iterate_dim_raw(%x: tensor<4xf32>) {
  "cascade.cascade"() <{ranks = ["m"], staticExtents = array<i64: 4>}> ({
    // expected-error @below {{expects a dimension of 'tensor<4xf32>', got -1}}
    "cascade.iterate"(%x) <{rank = "m", dims = array<i64: -1>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    ^bb0(%part: tensor<?xf32>):
      cascade.yield
    }) : (tensor<4xf32>) -> ()
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @part_type(%x: tensor<4xf32>) {
  "cascade.cascade"() <{ranks = ["m"], staticExtents = array<i64: 4>}> ({
    // expected-error @below {{expects a part of type 'tensor<?xf32>', got 'f32'}}
    "cascade.iterate"(%x) <{rank = "m", dims = array<i64: 0>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    ^bb0(%part: f32):
      cascade.yield
    }) : (tensor<4xf32>) -> ()
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @iterate_outside(%x: tensor<4xf32>) {
  // expected-error @below {{expects parent op 'cascade.cascade'}}
  cascade.iterate "m" (%part = %x[0]) carry() : (tensor<4xf32>), () {
    cascade.yield
  }
  return
}

// -----

// Asking for the ranks of what is defined by itself has an end.
func.func @circular(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{operand #0 does not dominate this use}}
    // expected-note @below {{operand defined here}}
    %a, %c = cascade.rebase %a, %l exp max : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// What stands behind an iteration is not asked for its ranks.
func.func @carried_from_behind(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4) {
    // expected-error @below {{expects to carry what the cascade computes}}
    %a = cascade.iterate "m" (%part = %x[0]) carry(%s = %z) : (tensor<4xf32>), (tensor<4xf32>) {
      cascade.yield %s : tensor<4xf32>
    }
    %z = "cascade.einsum"(%x) <{iter = ["m"], maps = [], operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
    ^bb0(%e: f32):
      cascade.yield %e : f32
    }) : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @rebase_type(%x: tensor<4xi32>, %l: tensor<4xi32>) -> tensor<4xi32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects floating-point references, got 'tensor<4xi32>'}}
    %a, %c = cascade.rebase %x, %l exp max : tensor<4xi32>
    cascade.yield %a : tensor<4xi32>
  } : tensor<4xi32>
  return %y : tensor<4xi32>
}

// -----

func.func @rebase_monoid(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects the reference of an exponential family to be a maximum, got 'add'}}
    %a, %c = cascade.rebase %x, %l exp2 add : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @rebase_and(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects 'and' over a type that it is defined for, got 'f32'}}
    %a, %c = cascade.rebase %x, %l ratio and : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @rebase_ratio_lazy(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects an exponential family under the policy 'lazy'}}
    %a, %c = cascade.rebase %x, %l ratio max policy<lazy, 8.0 : f32> : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @lazy_without_value(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects a value for the policy 'lazy'}}
    %a, %c = cascade.rebase %x, %l exp max policy<lazy> : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @online_value(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects no value for the policy 'online'}}
    %a, %c = cascade.rebase %x, %l exp max policy<online, 8.0 : f32> : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @lazy_negative(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects a distance of at least 0 for the policy 'lazy', got -1.000000e+00 : f32}}
    %a, %c = cascade.rebase %x, %l exp max policy<lazy, -1.0 : f32> : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @fixed_infinite(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    // expected-error @below {{expects a finite reference for the policy 'fixed', got 0x7F800000 : f32}}
    %a, %c = cascade.rebase %x, %l exp max policy<fixed, 0x7F800000 : f32> : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @rebase_ranks(%x: tensor<4xf32>, %l: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(m = 4, n = 4) {
    %m = cascade.einsum [m] (%x[m]) -> [m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %n = cascade.einsum [n] (%x[n]) -> [n] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    // expected-error @below {{expects references over the same ranks, got [m] and [n]}}
    %a, %c = cascade.rebase %m, %n exp max : tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @rebase_outside(%x: tensor<4xf32>) {
  // expected-error @below {{expects parent op to be one of 'cascade.cascade, cascade.iterate'}}
  %a, %c = cascade.rebase %x, %x exp max : tensor<4xf32>
  return
}

// -----

func.func @merge_nothing() {
  "cascade.cascade"() <{ranks = [], staticExtents = array<i64>}> ({
    // expected-error @below {{expects states to merge}}
    cascade.merge sums() exp max : () -> ()
    cascade.yield
  }) : () -> ()
  return
}

// -----

func.func @merge_results(%r: tensor<2x4xf32>, %t: tensor<2x4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects 2 results, got 1}}
    %a = cascade.merge %r : tensor<2x4xf32> sums(%t) exp max : (tensor<2x4xf32>) -> tensor<4xf32>
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @merge_shape(%r: tensor<2x4xf32>, %t: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects results like the operands without their first dimension, got 'tensor<2x4xf32>'}}
    %a = cascade.merge sums(%t) exp max : (tensor<2x4xf32>) -> tensor<2x4xf32>
    cascade.yield %a : tensor<2x4xf32>
  } : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

func.func @merge_scalar(%t: tensor<f32>) -> tensor<f32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects results like the operands without their first dimension, got 'tensor<f32>'}}
    %a = cascade.merge sums(%t) exp max : (tensor<f32>) -> tensor<f32>
    cascade.yield %a : tensor<f32>
  } : tensor<f32>
  return %y : tensor<f32>
}

// -----

func.func @merge_integers(%t: tensor<2x4xi32>) -> tensor<4xi32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects floating-point states, got 'tensor<2x4xi32>'}}
    %a = cascade.merge sums(%t) exp max : (tensor<2x4xi32>) -> tensor<4xi32>
    cascade.yield %a : tensor<4xi32>
  } : tensor<4xi32>
  return %y : tensor<4xi32>
}

// -----

func.func @merge_count(%r: tensor<2x4xf32>, %t: tensor<3x4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects 2 states of each kind, got 3}}
    %a:2 = cascade.merge %r : tensor<2x4xf32> sums(%t) exp max : (tensor<3x4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
    cascade.yield %a#1 : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @merge_monoid(%r: tensor<2x4xf32>, %t: tensor<2x4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    // expected-error @below {{expects the reference of an exponential family to be a maximum, got 'min'}}
    %a:2 = cascade.merge %r : tensor<2x4xf32> sums(%t) exp min : (tensor<2x4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
    cascade.yield %a#1 : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @merge_ranks(%r: tensor<2x4xf32>, %t: tensor<2xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(s = 2, m = 4) {
    %d = cascade.einsum [s, m] (%r[s, m]) -> [s, m] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %u = cascade.einsum [s] (%t[s]) -> [s] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<2xf32>) -> tensor<2xf32>
    // expected-error @below {{expects each sum to have rank 'm' of the reference}}
    %a:2 = cascade.merge %d : tensor<2x4xf32> sums(%u) exp max : (tensor<2xf32>) -> (tensor<4xf32>, tensor<f32>)
    cascade.yield %a#0 : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @divide_types(%x: f32, %y: f64) {
  // expected-error @below {{requires the same type for all operands and results}}
  %r = "cascade.divide"(%x, %y) <{empty = 0.0 : f64}> : (f32, f64) -> f32
  return
}

// -----

func.func @yield_outside() {
  // expected-error @below {{expects parent op to be one of 'cascade.cascade, cascade.einsum, cascade.iterate'}}
  cascade.yield
}

// -----

func.func @iterate_own(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    // expected-error @below {{use of undeclared SSA value name}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %t) : (tensor<4x8xf32>), (tensor<4xf32>) {
      %t = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %t : tensor<4xf32>
    }
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @iterate_types(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    // expected-error @below {{expected a type for each stream and for each carried tensor}}
    %a = cascade.iterate "m" (%part = %x[1]) carry(%s = %x) : (tensor<4x8xf32>), () {
      cascade.yield
    }
    cascade.yield %a : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}
