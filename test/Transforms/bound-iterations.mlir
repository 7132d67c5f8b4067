// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(bound-iterations))' | FileCheck %s

// CHECK-DAG: #[[CAUSAL:.*]] = affine_set<(d0, d1) : (d0 - d1 >= 0)>
// CHECK-DAG: #[[WINDOW:.*]] = affine_set<(d0, d1) : (d0 - d1 >= 0, d1 - (d0 - 4) >= 0)>
// CHECK-DAG: #[[OFFSET:.*]] = affine_set<(d0, d1)[s0] : (d0 + s0 - d1 >= 0)>
// CHECK-DAG: #[[STRICT:.*]] = affine_set<(d0, d1)[s0] : (-d1 + s0 - 1 >= 0)>

// Keys past the query are -inf: a maximum stays as it is, and exp(-inf) adds
// nothing. The points inside are masked as before.
// CHECK-LABEL: func.func @causal(
// CHECK: cascade.iterate "m" {{.*}} filters([#[[CAUSAL]]])
// CHECK: cascade.einsum [p, m]
// CHECK: arith.select
func.func @causal(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0, %s = %s0) : (tensor<?x?xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %masked = cascade.einsum [p, m] (%part[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %k = arith.cmpi sge, %i, %j : index
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %r = math.exp %t : f32
        cascade.yield %r : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Two conditions that both have to hold are two constraints.
// CHECK-LABEL: func.func @window(
// CHECK: cascade.iterate "m" {{.*}} filters([#[[WINDOW]]])
func.func @window(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %w = arith.constant 4 : index
        %n = arith.subi %i, %w : index
        %k0 = arith.cmpi sge, %i, %j : index
        %k1 = arith.cmpi sle, %n, %j : index
        %k = arith.andi %k0, %k1 : i1
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A mask that is added does the same.
// CHECK-LABEL: func.func @additive(
// CHECK: cascade.iterate "m" {{.*}} filters([#[[CAUSAL]]])
func.func @additive(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %zero = arith.constant 0.0 : f32
        %k = arith.cmpi sge, %i, %j : index
        %b = arith.select %k, %zero, %low : f32
        %v = arith.addf %a, %b : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// What is known where the program runs is a symbol, also through a cast.
// CHECK-LABEL: func.func @offset(
// CHECK-SAME: %[[OFF:[a-z0-9]*]]: index
// CHECK: cascade.iterate "m" {{.*}} filters([#[[OFFSET]]][%[[OFF]]])
func.func @offset(%x: tensor<?x?xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %i32 = arith.index_cast %i : index to i32
        %o32 = arith.index_cast %off : index to i32
        %j32 = arith.index_cast %j : index to i32
        %q = arith.addi %i32, %o32 : i32
        %k = arith.cmpi sge, %q, %j32 : i32
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Less than is one less at most; keys beyond a length need no query.
// CHECK-LABEL: func.func @strict(
// CHECK-SAME: %[[LEN:[a-z0-9]*]]: index
// CHECK: cascade.iterate "m" {{.*}} filters([#[[STRICT]]][%[[LEN]]])
func.func @strict(%x: tensor<?x?xf32>, %len: index, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %j = cascade.index "m"
        %k = arith.cmpi slt, %j, %len : index
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Of a condition that data has a part in, the coordinates alone bound.
// CHECK-LABEL: func.func @data(
// CHECK: cascade.iterate "m" {{.*}} filters([#[[CAUSAL]]])
func.func @data(%x: tensor<?x?xf32>, %mask: tensor<?x?xi8>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1], %bits = %mask[1]) carry(%d = %d0) : (tensor<?x?xf32>, tensor<?x?xi8>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m], %bits[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32, %b: i8):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %zero = arith.constant 0 : i8
        %set = arith.cmpi ne, %b, %zero : i8
        %k0 = arith.cmpi sge, %i, %j : index
        %k = arith.andi %set, %k0 : i1
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?x?xi8>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A condition that data can make true alone bounds nothing.
// CHECK-LABEL: func.func @either(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @either(%x: tensor<?x?xf32>, %mask: tensor<?x?xi8>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1], %bits = %mask[1]) carry(%d = %d0) : (tensor<?x?xf32>, tensor<?x?xi8>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m], %bits[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32, %b: i8):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %zero = arith.constant 0 : i8
        %set = arith.cmpi ne, %b, %zero : i8
        %k0 = arith.cmpi sge, %i, %j : index
        %k = arith.ori %set, %k0 : i1
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?x?xi8>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A finite bias leaves something of every point.
// CHECK-LABEL: func.func @finite(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @finite(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %bias = arith.constant -10000.0 : f32
        %k = arith.cmpi sge, %i, %j : index
        %v = arith.select %k, %a, %bias : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -inf changes a sum that is not of exp.
// CHECK-LABEL: func.func @not_exp(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @not_exp(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0, %s = %s0) : (tensor<?x?xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %masked = cascade.einsum [p, m] (%part[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %k = arith.cmpi sge, %i, %j : index
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %r = math.tanh %t : f32
        cascade.yield %r : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Where the condition holds is what is masked: nothing is said of the points
// outside.
// CHECK-LABEL: func.func @inverted(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @inverted(%x: tensor<?x?xf32>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %k = arith.cmpi sge, %i, %j : index
        %v = arith.select %k, %low, %a : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A coordinate that is read from a tensor is no symbol.
// CHECK-LABEL: func.func @element(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @element(%x: tensor<?x?xf32>, %mask: tensor<?x?xindex>, %p: index, %m: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1], %at = %mask[1]) carry(%d = %d0) : (tensor<?x?xf32>, tensor<?x?xindex>), (tensor<?xf32>) {
      %d1 = cascade.einsum [p, m] (%part[p, m], %at[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32, %b: index):
        %low = arith.constant 0xFF800000 : f32
        %j = cascade.index "m"
        %k = arith.cmpi sge, %b, %j : index
        %v = arith.select %k, %a, %low : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?x?xindex>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}
