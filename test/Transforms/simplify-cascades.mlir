// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(simplify-cascades,canonicalize))' | FileCheck %s

// Roundings and the scale leave the maximum, the exponentials are to base 2 with log2(e)
// in the scale, behind which nothing is rounded (0.125 * 1.4427 = 0.18034), and a tolerance of 8 is 11.54 there.
// CHECK-LABEL: func.func @scores(
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 0.180336878 : f32
// CHECK: cascade.iterate
// CHECK: %[[S:.*]] = cascade.einsum [p, m, e] {{.*}} reduce(add) -> [p, m]
// CHECK: %[[MAX:.*]] = cascade.einsum [p, m] (%[[S]][p, m]) reduce(max) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: cascade.yield %[[A]]
// CHECK: %[[LOCAL:.*]] = cascade.einsum [p] (%[[MAX]][p]) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[A]] : f32 to bf16
// CHECK-NEXT: %[[W:.*]] = arith.extf %[[T]] : bf16 to f32
// CHECK-NEXT: arith.mulf %[[W]], %[[SCALE]] fastmath<contract>
// CHECK: cascade.rebase %{{.*}}, %[[LOCAL]] exp2 max policy<lazy, {{11.54.*}} : f32>
// CHECK: cascade.einsum [p, m] (%[[S]][p, m], %{{.*}}[p]) -> [p, m] {
// CHECK: arith.truncf
// CHECK: %[[X:.*]] = arith.mulf %{{.*}}, %[[SCALE]] fastmath<contract>
// CHECK: %[[Y:.*]] = arith.subf %[[X]], %{{.*}} fastmath<contract>
// CHECK: math.exp2 %[[Y]]
func.func @scores(%q: tensor<8x4xf32>, %k: tensor<16x4xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, e = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r:2 = cascade.iterate "m" (%key = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %n = cascade.einsum [p, m] (%qk[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %t = arith.truncf %a : f32 to bf16
        cascade.yield %t : bf16
      } : (tensor<8x?xf32>) -> tensor<8x?xbf16>
      %x = cascade.einsum [p, m] (%n[p, m]) -> [p, m] {
      ^bb0(%a: bf16):
        %c = arith.constant 0.125 : f32
        %w = arith.extf %a : bf16 to f32
        %t = arith.mulf %w, %c : f32
        %r = arith.truncf %t : f32 to bf16
        %v = arith.extf %r : bf16 to f32
        cascade.yield %v : f32
      } : (tensor<8x?xbf16>) -> tensor<8x?xf32>
      %l = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp max policy<lazy, 8.0 : f32> : tensor<8xf32>
      %e = cascade.einsum [p, m] (%x[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1, %s1 : tensor<8xf32>, tensor<8xf32>
    }
    %o = cascade.einsum [p] (%r#1[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// What is added may be the lowest number, which stands for a mask, and a negative
// factor turns the order: all stays as it is.
// CHECK-LABEL: func.func @biased(
// CHECK: reduce(max)
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: arith.mulf %[[A]]
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp max :
// CHECK: math.exp %
func.func @biased(%x: tensor<8x16xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0, %s = %s0) : (tensor<8x16xf32>), (tensor<8xf32>, tensor<8xf32>) {
      %l = cascade.einsum [p, m] (%part[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant -2.0 : f32
        %t = arith.mulf %a, %c : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<8xf32>
      %e = cascade.einsum [p, m] (%part[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %c2 = arith.constant -2.0 : f32
        %w = arith.mulf %a, %c2 : f32
        %t = arith.subf %w, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1, %s1 : tensor<8xf32>, tensor<8xf32>
    }
    %o = cascade.einsum [p] (%r#1[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// A reference that parts are merged by alone: the merge is to base 2 then, too.
// CHECK-LABEL: func.func @merged(
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp2 max : tensor<2x8xf32>
// CHECK: math.exp2
// CHECK: cascade.merge %{{.*}} : tensor<2x8xf32> sums(%{{.*}}) exp2 max
// Where the merged reference is read, all stays as it is.
// CHECK-LABEL: func.func @merged_and_read(
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp max : tensor<2x8xf32>
// CHECK: math.exp %
// CHECK: cascade.merge %{{.*}} : tensor<2x8xf32> sums(%{{.*}}) exp max
func.func @merged(%q: tensor<8x4xf32>, %k: tensor<16x4xf32>) -> tensor<8xf32> {
  %states:2 = cascade.cascade reassoc ranks(p = 8, m = 16, e = 4, s = 2) {
    %d0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x8xf32>
    %t0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x8xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %t = %t0) : (tensor<16x4xf32>), (tensor<2x8xf32>, tensor<2x8xf32>) {
      %x = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %v = arith.mulf %a, %b : f32
        cascade.yield %v : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %l = cascade.einsum [p, m, s] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1, d2) : (d1 - d2 * 8 >= 0, d2 * 8 + 7 - d1 >= 0)>]) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<2x8xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<2x8xf32>
      %w = cascade.einsum [p, m, s] (%x[p, m], %d1[s, p]) -> [s, p, m] {
      ^bb0(%a: f32, %b: f32):
        %u = arith.subf %a, %b : f32
        %v = math.exp %u : f32
        cascade.yield %v : f32
      } : (tensor<8x?xf32>, tensor<2x8xf32>) -> tensor<2x8x?xf32>
      %moved = cascade.einsum [s, p] (%t[s, p], %c[s, p]) -> [s, p] {
      ^bb0(%a: f32, %b: f32):
        %v = arith.mulf %a, %b : f32
        cascade.yield %v : f32
      } : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
      %t1 = cascade.einsum [p, m, s] (%w[s, p, m]) reduce(add) filters([affine_set<(d0, d1, d2) : (d1 - d2 * 8 >= 0, d2 * 8 + 7 - d1 >= 0)>]) init(%moved) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<2x8x?xf32>) -> tensor<2x8xf32>
      cascade.yield %d1, %t1 : tensor<2x8xf32>, tensor<2x8xf32>
    }
    cascade.yield %r#0, %r#1 : tensor<2x8xf32>, tensor<2x8xf32>
  } : tensor<2x8xf32>, tensor<2x8xf32>
  %y = cascade.cascade reassoc ranks(s = 2, p = 8) {
    %d = cascade.einsum [s, p] (%states#0[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %t = cascade.einsum [s, p] (%states#1[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %m:2 = cascade.merge %d : tensor<2x8xf32> sums(%t) exp max : (tensor<2x8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
    %o = cascade.einsum [p] (%m#1[p], %m#1[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %v = arith.addf %a, %b : f32
      cascade.yield %v : f32
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

func.func @merged_and_read(%q: tensor<8x4xf32>, %k: tensor<16x4xf32>) -> tensor<8xf32> {
  %states:2 = cascade.cascade reassoc ranks(p = 8, m = 16, e = 4, s = 2) {
    %d0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x8xf32>
    %t0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x8xf32>
    %r:2 = cascade.iterate "m" (%part = %k[0]) carry(%d = %d0, %t = %t0) : (tensor<16x4xf32>), (tensor<2x8xf32>, tensor<2x8xf32>) {
      %x = cascade.einsum [p, m, e] (%q[p, e], %part[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %v = arith.mulf %a, %b : f32
        cascade.yield %v : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %l = cascade.einsum [p, m, s] (%x[p, m]) reduce(max) filters([affine_set<(d0, d1, d2) : (d1 - d2 * 8 >= 0, d2 * 8 + 7 - d1 >= 0)>]) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<2x8xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<2x8xf32>
      %w = cascade.einsum [p, m, s] (%x[p, m], %d1[s, p]) -> [s, p, m] {
      ^bb0(%a: f32, %b: f32):
        %u = arith.subf %a, %b : f32
        %v = math.exp %u : f32
        cascade.yield %v : f32
      } : (tensor<8x?xf32>, tensor<2x8xf32>) -> tensor<2x8x?xf32>
      %moved = cascade.einsum [s, p] (%t[s, p], %c[s, p]) -> [s, p] {
      ^bb0(%a: f32, %b: f32):
        %v = arith.mulf %a, %b : f32
        cascade.yield %v : f32
      } : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
      %t1 = cascade.einsum [p, m, s] (%w[s, p, m]) reduce(add) filters([affine_set<(d0, d1, d2) : (d1 - d2 * 8 >= 0, d2 * 8 + 7 - d1 >= 0)>]) init(%moved) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<2x8x?xf32>) -> tensor<2x8xf32>
      cascade.yield %d1, %t1 : tensor<2x8xf32>, tensor<2x8xf32>
    }
    cascade.yield %r#0, %r#1 : tensor<2x8xf32>, tensor<2x8xf32>
  } : tensor<2x8xf32>, tensor<2x8xf32>
  %y = cascade.cascade reassoc ranks(s = 2, p = 8) {
    %d = cascade.einsum [s, p] (%states#0[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %t = cascade.einsum [s, p] (%states#1[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<2x8xf32>) -> tensor<2x8xf32>
    %m:2 = cascade.merge %d : tensor<2x8xf32> sums(%t) exp max : (tensor<2x8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
    %o = cascade.einsum [p] (%m#0[p], %m#1[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %v = arith.addf %a, %b : f32
      cascade.yield %v : f32
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// Scores are masked before they are scaled, though the source says it the other way
// round, by adding 0 or -inf. So the scale leaves the maximum, and log2(e) is in it.
// CHECK-LABEL: func.func @masked(
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 0.180336878 : f32
// CHECK-DAG: %[[NOTHING:.*]] = arith.constant 0xFF800000 : f32
// CHECK: cascade.iterate
// CHECK: %[[S:.*]] = cascade.einsum [p, m, e] {{.*}} reduce(add) -> [p, m]
// CHECK: %[[MASKED:.*]] = cascade.einsum [p, m] (%[[S]][p, m]) -> [p, m] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[P:.*]] = cascade.index "p"
// CHECK-NEXT: %[[M:.*]] = cascade.index "m"
// CHECK-NEXT: %[[SEEN:.*]] = arith.cmpi sle, %[[M]], %[[P]] : index
// CHECK-NEXT: %[[B:.*]] = arith.select %[[SEEN]], %[[A]], %[[NOTHING]] : f32
// CHECK-NEXT: cascade.yield %[[B]]
// CHECK: %[[MAX:.*]] = cascade.einsum [p, m] (%[[MASKED]][p, m]) reduce(max) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: cascade.yield %[[A]]
// CHECK: cascade.einsum [p] (%[[MAX]][p]) -> [p] {
// CHECK: arith.mulf %{{.*}}, %[[SCALE]] fastmath<contract>
// CHECK: cascade.rebase {{.*}} exp2 max
// CHECK: cascade.einsum [p, m] (%[[MASKED]][p, m], %{{.*}}[p]) -> [p, m] {
// CHECK: arith.mulf %{{.*}}, %[[SCALE]] fastmath<contract>
// CHECK: math.exp2
func.func @masked(%q: tensor<16x4xf32>, %k: tensor<16x4xf32>) -> tensor<16xf32> {
  %lo = arith.constant -3.40282347E+38 : f32
  %inf = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %s = arith.constant 0.125 : f32
  %0 = cascade.cascade reassoc ranks(p = 16, m = 16, e = 4) {
    %r = cascade.einsum [p] () -> [p] { cascade.yield %lo : f32 } : () -> tensor<16xf32>
    %t = cascade.einsum [p] () -> [p] { cascade.yield %zero : f32 } : () -> tensor<16xf32>
    %4:2 = cascade.iterate "m" (%ks = %k[0]) carry(%ref = %r, %sum = %t) : (tensor<16x4xf32>), (tensor<16xf32>, tensor<16xf32>) {
      %a = cascade.einsum [p, m, e] (%q[p, e], %ks[m, e]) reduce(add) -> [p, m] {
      ^bb0(%x: f32, %y: f32):
        %z = arith.mulf %x, %y : f32
        cascade.yield %z : f32
      } : (tensor<16x4xf32>, tensor<?x4xf32>) -> tensor<16x?xf32>
      %b = cascade.einsum [p, m] (%a[p, m]) -> [p, m] {
      ^bb0(%x: f32):
        %y = arith.mulf %x, %s : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %c = arith.cmpi sle, %j, %i : index
        %z = arith.select %c, %zero, %inf : f32
        %w = arith.addf %y, %z : f32
        cascade.yield %w : f32
      } : (tensor<16x?xf32>) -> tensor<16x?xf32>
      %d = cascade.einsum [p, m] (%b[p, m]) reduce(max) -> [p] {
      ^bb0(%x: f32):
        cascade.yield %x : f32
      } : (tensor<16x?xf32>) -> tensor<16xf32>
      %u, %cor = cascade.rebase %ref, %d exp max : tensor<16xf32>
      %e = cascade.einsum [p, m] (%b[p, m], %u[p]) -> [p, m] {
      ^bb0(%x: f32, %y: f32):
        %y1 = arith.subf %x, %y : f32
        %y2 = math.exp %y1 : f32
        cascade.yield %y2 : f32
      } : (tensor<16x?xf32>, tensor<16xf32>) -> tensor<16x?xf32>
      %f = cascade.einsum [p] (%sum[p], %cor[p]) -> [p] {
      ^bb0(%x: f32, %y: f32):
        %y1 = arith.mulf %x, %y : f32
        cascade.yield %y1 : f32
      } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
      %g = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%f) -> [p] {
      ^bb0(%x: f32):
        cascade.yield %x : f32
      } : (tensor<16x?xf32>) -> tensor<16xf32>
      cascade.yield %u, %g : tensor<16xf32>, tensor<16xf32>
    }
    cascade.yield %4#1 : tensor<16xf32>
  } : tensor<16xf32>
  return %0 : tensor<16xf32>
}

// What is rounded behind the cascade and not read before is rounded in it: once in the
// map that divides, and once in a map of its own behind a sum. A result with another
// reader stays as it is.
// CHECK-LABEL: func.func @converted(
// CHECK: %[[Y:.*]]:3 = cascade.cascade
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: %[[HALF:.*]] = cascade.einsum [p] (%[[R]]#0[p]) -> [p] {
// CHECK: %[[H:.*]] = arith.mulf
// CHECK: %[[T:.*]] = arith.truncf %[[H]] : f32 to bf16
// CHECK: cascade.yield %[[T]] : bf16
// CHECK: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p]) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[A]] : f32 to bf16
// CHECK-NEXT: cascade.yield %[[T]] : bf16
// CHECK: cascade.yield %[[HALF]], %[[SUM]], %[[R]]#0 : tensor<8xbf16>, tensor<8xbf16>, tensor<8xf32>
// CHECK: %[[N:.*]] = linalg.generic {{.*}} ins(%[[Y]]#2
// CHECK: return %[[Y]]#0, %[[Y]]#1, %[[N]], %[[Y]]#2
#same = affine_map<(d0) -> (d0)>
func.func @converted(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>) -> (tensor<8xbf16>, tensor<8xbf16>, tensor<8xbf16>, tensor<8xf32>) {
  %y:3 = cascade.cascade reassoc ranks(p = 8, m = 16) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r:2 = cascade.iterate "m" (%a = %x[1], %b = %z[1]) carry(%s = %s0, %t = %s0) : (tensor<8x16xf32>, tensor<8x16xf32>), (tensor<8xf32>, tensor<8xf32>) {
      %s1 = cascade.einsum [p, m] (%a[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %t1 = cascade.einsum [p, m] (%b[p, m]) reduce(add) init(%t) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %s1, %t1 : tensor<8xf32>, tensor<8xf32>
    }
    %o = cascade.einsum [p] (%r#0[p]) -> [p] {
    ^bb0(%e: f32):
      %c = arith.constant 0.5 : f32
      %h = arith.mulf %e, %c : f32
      cascade.yield %h : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o, %r#1, %r#0 : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  } : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  %e = tensor.empty() : tensor<8xbf16>
  %n0 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]} ins(%y#0 : tensor<8xf32>) outs(%e : tensor<8xbf16>) {
  ^bb0(%i: f32, %o: bf16):
    %t = arith.truncf %i : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<8xbf16>
  %n1 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]} ins(%y#1 : tensor<8xf32>) outs(%e : tensor<8xbf16>) {
  ^bb0(%i: f32, %o: bf16):
    %t = arith.truncf %i : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<8xbf16>
  %n2 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]} ins(%y#2 : tensor<8xf32>) outs(%e : tensor<8xbf16>) {
  ^bb0(%i: f32, %o: bf16):
    %t = arith.truncf %i : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<8xbf16>
  return %n0, %n1, %n2, %y#2 : tensor<8xbf16>, tensor<8xbf16>, tensor<8xbf16>, tensor<8xf32>
}
