// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(split-iterations,canonicalize,cse))' | FileCheck %s
// RUN: not lutra-opt %s -pass-pipeline='builtin.module(func.func(split-iterations{length=0}))' 2>&1 | FileCheck %s --check-prefix=LENGTH
// LENGTH: error: expected parts of 1 to 2^20 coordinates and tasks, got 0 and 16

// CHECK-DAG: #[[PART:.*]] = affine_set<(d0, d1, d2) : (d1 - d2 * 512 >= 0, d2 * 512 - d1 + 511 >= 0)>
// CHECK-DAG: #[[LONG:.*]] = affine_set<(d0, d1, d2) : (d1 - d2 * 1024 >= 0, d2 * 1024 - d1 + 1023 >= 0)>
// CHECK-DAG: #[[WINDOW:.*]] = affine_set<(d0, d1, d2)[s0] : (d0 - d1 + s0 >= 0, d1 - d2 * 512 >= 0, d2 * 512 - d1 + 511 >= 0)>

// Each part begins from nothing and takes, at its number, its own points. What
// followed the iteration follows the merge.
// CHECK-LABEL: func.func @one_row(
// CHECK: %[[STATES:.*]]:2 = cascade.cascade reassoc ranks(p = 1, m = 4096, s = 8) {
// CHECK: cascade.einsum [s, p] () -> [s, p]
// CHECK: cascade.iterate "m" (%{{.*}} = %arg0[1]) carry({{.*}}) filters([#[[PART]]])
// CHECK: cascade.einsum [p, m, s] (%{{.*}}[p, m]) reduce(max) filters([#[[PART]]]) -> [s, p]
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp max : tensor<8x1xf32>
// CHECK: cascade.einsum [p, m, s] (%{{.*}}[p, m], %{{.*}}[s, p]) -> [s, p, m]
// CHECK: cascade.einsum [p, m, s] (%{{.*}}[s, p, m]) reduce(add) filters([#[[PART]]]) init(%{{.*}}) -> [s, p]
// CHECK: } : tensor<8x1xf32>, tensor<8x1xf32>
// CHECK: %[[Y:.*]] = cascade.cascade reassoc ranks(s = 8, p = 1) {
// CHECK: %[[D:.*]] = cascade.einsum [s, p] (%[[STATES]]#0[s, p]) -> [s, p]
// CHECK: %[[T:.*]] = cascade.einsum [s, p] (%[[STATES]]#1[s, p]) -> [s, p]
// CHECK: %[[M:.*]]:2 = cascade.merge %[[D]] : tensor<8x1xf32> sums(%[[T]]) exp max : (tensor<8x1xf32>) -> (tensor<1xf32>, tensor<1xf32>)
// CHECK: cascade.einsum [p] (%[[M]]#0[p], %[[M]]#1[p]) -> [p]
// CHECK: math.log
// CHECK: return %[[Y]]
func.func @one_row(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %result = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// What the iteration began from is counted once: by the first part. Filters of the
// whole hold in each part. The number of parts follows the symbolic length.
// CHECK-LABEL: func.func @starts(
// CHECK: %[[M:.*]] = lutra.dim "m"
// CHECK: %[[COUNT:.*]] = affine.apply #{{.*}}()[%[[M]]]
// CHECK: cascade.cascade reassoc ranks(p = 1, m = %[[M]], s = %[[COUNT]]) {
// CHECK: %[[D0:.*]] = cascade.einsum [p] (%arg1[p]) -> [p]
// CHECK: cascade.einsum [s, p] (%[[D0]][p]) -> [s, p] {
// CHECK: %[[NUMBER:.*]] = cascade.index "s"
// CHECK: %[[FIRST:.*]] = arith.cmpi eq, %[[NUMBER]], %{{.*}} : index
// CHECK: arith.select %[[FIRST]], %{{.*}}, %cst{{.*}} : f32
// CHECK: cascade.iterate "m" {{.*}} filters([#[[WINDOW]]][%{{.*}}])
// CHECK: cascade.merge
func.func @starts(%x: tensor<1x?xf32>, %start: tensor<1xf32>) -> tensor<1xf32> {
  %m = lutra.dim "m" min 0 max 9223372036854775807 multiple 1
  %off = lutra.dim "off" min 0 max 9223372036854775807 multiple 1
  %result = cascade.cascade reassoc ranks(p = 1, m = %m) {
    %d0 = cascade.einsum [p] (%start[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<1xf32>) -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 1.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<1x?xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// Four rows that read the same: each part has more to begin from and to leave, and
// is longer.
// CHECK-LABEL: func.func @shared(
// CHECK: ranks(p = 4, m = 4096, s = 4)
// CHECK: filters([#[[LONG]]])
func.func @shared(%x: tensor<4096xf32>) -> tensor<4xf32> {
  %result = cascade.cascade reassoc ranks(p = 4, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[0]) carry(%dc = %d0, %tc = %t0) : (tensor<4096xf32>), (tensor<4xf32>, tensor<4xf32>) {
      %l = cascade.einsum [p, m] (%xp[m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?xf32>) -> tensor<4xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<4xf32>
      %w = cascade.einsum [p, m] (%xp[m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<4xf32>) -> tensor<4x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %dn, %tn : tensor<4xf32>, tensor<4xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %y : tensor<4xf32>
  } : tensor<4xf32>
  return %result : tensor<4xf32>
}

// The last part is shorter.
// CHECK-LABEL: func.func @tail(
// CHECK: ranks(p = 1, m = 1500, s = 3)
func.func @tail(%x: tensor<1x1500xf32>) -> tensor<1xf32> {
  %result = cascade.cascade reassoc ranks(p = 1, m = 1500) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x1500xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// Less than two parts.
// CHECK-LABEL: func.func @short(
// CHECK-NOT: cascade.merge
func.func @short(%x: tensor<1x1023xf32>) -> tensor<1xf32> {
  %result = cascade.cascade reassoc ranks(p = 1, m = 1023) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x1023xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// Sixteen rows that read different points are tasks enough.
// CHECK-LABEL: func.func @many_rows(
// CHECK-NOT: cascade.merge
func.func @many_rows(%x: tensor<16x4096xf32>) -> tensor<16xf32> {
  %result = cascade.cascade reassoc ranks(p = 16, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<16xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<16xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<16x4096xf32>), (tensor<16xf32>, tensor<16xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<16x?xf32>) -> tensor<16xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<16xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<16x?xf32>, tensor<16xf32>) -> tensor<16x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<16x?xf32>) -> tensor<16xf32>
      cascade.yield %dn, %tn : tensor<16xf32>, tensor<16xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %y : tensor<16xf32>
  } : tensor<16xf32>
  return %result : tensor<16xf32>
}

// There may be many rows, and few points.
// CHECK-LABEL: func.func @unknown_rows(
// CHECK-NOT: cascade.merge
func.func @unknown_rows(%x: tensor<?x?xf32>, %m: index) -> tensor<?xf32> {
  %p = lutra.dim "p" min 1 max 64 multiple 1
  %result = cascade.cascade reassoc ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<?x?xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<?xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %dn, %tn : tensor<?xf32>, tensor<?xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %y : tensor<?xf32>
  } : tensor<?xf32>
  return %result : tensor<?xf32>
}

// There are at most 15 rows.
// CHECK-LABEL: func.func @bounded_rows(
// CHECK: cascade.merge
func.func @bounded_rows(%x: tensor<?x?xf32>, %m: index) -> tensor<?xf32> {
  %p = lutra.dim "p" min 1 max 15 multiple 1
  %result = cascade.cascade reassoc ranks(p = %p, m = %m) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<?x?xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<?xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %dn, %tn : tensor<?xf32>, tensor<?xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %y : tensor<?xf32>
  } : tensor<?xf32>
  return %result : tensor<?xf32>
}

// There may be many rows, but each is long, so that a merge costs nothing beside it.
// CHECK-LABEL: func.func @long_rows(
// CHECK: cascade.merge
func.func @long_rows(%x: tensor<?x4096xf32>) -> tensor<?xf32> {
  %p = lutra.dim "p" min 1 max 64 multiple 1
  %result = cascade.cascade reassoc ranks(p = %p, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<?x4096xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<?xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %dn, %tn : tensor<?xf32>, tensor<?xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %y : tensor<?xf32>
  } : tensor<?xf32>
  return %result : tensor<?xf32>
}

// Nobody has permitted another order.
// CHECK-LABEL: func.func @in_order(
// CHECK-NOT: cascade.merge
func.func @in_order(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %result = cascade.cascade ranks(p = 1, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// Rows that read the same, without bound: their states would be many, too.
// CHECK-LABEL: func.func @unbounded(
// CHECK-NOT: cascade.merge
func.func @unbounded(%x: tensor<4096xf32>, %p: index) -> tensor<?xf32> {
  %result = cascade.cascade reassoc ranks(p = %p, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[0]) carry(%dc = %d0, %tc = %t0) : (tensor<4096xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %l = cascade.einsum [p, m] (%xp[m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?xf32>) -> tensor<?xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<?xf32>
      %w = cascade.einsum [p, m] (%xp[m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %dn, %tn : tensor<?xf32>, tensor<?xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %y : tensor<?xf32>
  } : tensor<?xf32>
  return %result : tensor<?xf32>
}

// A sum whose points do not have the factor that its correction replaces.
// CHECK-LABEL: func.func @not_under(
// CHECK-NOT: cascade.merge
func.func @not_under(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %result = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp2 %z : f32
        cascade.yield %r : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}

// A sum whose points depend on what was gone over before.
// CHECK-LABEL: func.func @reads_carried(
// CHECK-NOT: cascade.merge
func.func @reads_carried(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %result = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %tc = %t0) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %w = cascade.einsum [p, m] (%tc[p], %dn[p], %xp[p, m]) -> [p, m] {
      ^bb0(%a: f32, %b: f32, %u: f32):
        %z = arith.subf %a, %b : f32
        %r = math.exp %z : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1x?xf32>) -> tensor<1x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %dn, %tn : tensor<1xf32>, tensor<1xf32>
    }
    %y = cascade.einsum [p] (%d[p], %t[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %g = math.log %b : f32
      %r = arith.addf %a, %g : f32
      cascade.yield %r : f32
    } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
    cascade.yield %y : tensor<1xf32>
  } : tensor<1xf32>
  return %result : tensor<1xf32>
}
