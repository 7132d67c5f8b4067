// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(bound-iterations))' | FileCheck %s

// CHECK-DAG: #[[SHIFTED:.*]] = affine_set<(d0, d1, d2)[s0] : (d0 - d1 + s0 >= 0)>
// CHECK-DAG: #[[FEW:.*]] = affine_set<(d0, d1, d2)[s0] : (-d0 - s0 - 1 >= 0)>

// The least finite number leaves exp of 0 only in rows that have an ordinary
// number. The first key of a row is one unless the offset is negative: those
// rows are gone over whole.
// CHECK-LABEL: func.func @least(
// CHECK-SAME: %[[OFF:[a-z0-9]*]]: index, %{{.*}}: index, %{{.*}}: index
// CHECK: cascade.iterate "m" {{.*}} filters([#[[SHIFTED]], #[[FEW]]][%[[OFF]]])
func.func @least(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %low = arith.constant -3.40282347E+38 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %scores = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %v = arith.mulf %a, %c : f32
        cascade.yield %v : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %masked = cascade.einsum [p, m] (%scores[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %i = cascade.index "p"
        %j = cascade.index "m"
        %n = arith.addi %i, %off : index
        %keep = arith.cmpi sle, %j, %n : index
        %mask = arith.select %keep, %zero, %low : f32
        %v = arith.addf %a, %mask : f32
        %w = arith.addf %v, %zero : f32
        cascade.yield %w : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %v = arith.mulf %a, %b1 : f32
        cascade.yield %v : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %t = arith.subf %a, %b1 : f32
        %v = math.exp %t : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -inf needs no such rows.
// CHECK-LABEL: func.func @lowest(
// CHECK-SAME: %[[OFF:[a-z0-9]*]]: index, %{{.*}}: index, %{{.*}}: index
// CHECK: cascade.iterate "m" {{.*}} filters([#[[SHIFTED]]][%[[OFF]]])
func.func @lowest(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %low = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %scores = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %v = arith.mulf %a, %c : f32
        cascade.yield %v : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %masked = cascade.einsum [p, m] (%scores[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %i = cascade.index "p"
        %j = cascade.index "m"
        %n = arith.addi %i, %off : index
        %keep = arith.cmpi sle, %j, %n : index
        %mask = arith.select %keep, %zero, %low : f32
        %v = arith.addf %a, %mask : f32
        %w = arith.addf %v, %zero : f32
        cascade.yield %w : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %v = arith.mulf %a, %b1 : f32
        cascade.yield %v : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %t = arith.subf %a, %b1 : f32
        %v = math.exp %t : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A number that scores can be as far apart as is none to be left out.
// CHECK-LABEL: func.func @low(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @low(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %low = arith.constant -1.000000e+04 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %scores = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %v = arith.mulf %a, %c : f32
        cascade.yield %v : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %masked = cascade.einsum [p, m] (%scores[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %i = cascade.index "p"
        %j = cascade.index "m"
        %n = arith.addi %i, %off : index
        %keep = arith.cmpi sle, %j, %n : index
        %mask = arith.select %keep, %zero, %low : f32
        %v = arith.addf %a, %mask : f32
        %w = arith.addf %v, %zero : f32
        cascade.yield %w : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %v = arith.mulf %a, %b1 : f32
        cascade.yield %v : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %t = arith.subf %a, %b1 : f32
        %v = math.exp %t : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A bias of data may be the least number where coordinates keep a point.
// CHECK-LABEL: func.func @biased(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @biased(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %bias: tensor<?x?xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %low = arith.constant -3.40282347E+38 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0], %b = %bias[1]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>, tensor<?x?xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %scores = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %v = arith.mulf %a, %c : f32
        cascade.yield %v : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %masked = cascade.einsum [p, m] (%scores[p, m], %b[p, m]) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %i = cascade.index "p"
        %j = cascade.index "m"
        %n = arith.addi %i, %off : index
        %keep = arith.cmpi sle, %j, %n : index
        %mask = arith.select %keep, %zero, %low : f32
        %v = arith.addf %a, %mask : f32
        %w = arith.addf %v, %c : f32
        cascade.yield %w : f32
      } : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %v = arith.mulf %a, %b1 : f32
        cascade.yield %v : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %t = arith.subf %a, %b1 : f32
        %v = math.exp %t : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A reference that is no maximum is below the points that are masked, perhaps.
// CHECK-LABEL: func.func @fixed(
// CHECK: cascade.iterate
// CHECK-NOT: filters
func.func @fixed(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %off: index, %p: index, %m: index) -> tensor<?xf32> {
  %low = arith.constant -3.40282347E+38 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<?xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %scores = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %c: f32):
        %v = arith.mulf %a, %c : f32
        cascade.yield %v : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %masked = cascade.einsum [p, m] (%scores[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %i = cascade.index "p"
        %j = cascade.index "m"
        %n = arith.addi %i, %off : index
        %keep = arith.cmpi sle, %j, %n : index
        %mask = arith.select %keep, %zero, %low : f32
        %v = arith.addf %a, %mask : f32
        %w = arith.addf %v, %zero : f32
        cascade.yield %w : f32
      } : (tensor<?x?xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%masked[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max policy<fixed, 0.0 : f32> : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %v = arith.mulf %a, %b1 : f32
        cascade.yield %v : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %s1 = cascade.einsum [p, m] (%masked[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b1: f32):
        %t = arith.subf %a, %b1 : f32
        %v = math.exp %t : f32
        cascade.yield %v : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    cascade.yield %r#1 : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}
