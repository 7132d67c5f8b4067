// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(encode-cascades))' | FileCheck %s

// Vectors lie along the rows: what the cascade computes for itself has them
// innermost, and what each part reads again of the queries is copied so before the
// loop. Streams stay as they are, and so does the result. Of how many rows there
// are is not known: a single one, which fills no vector, has a version of its own.
// CHECK-LABEL: func.func @rows(
// CHECK-SAME: %[[Q:[a-z0-9]*]]: tensor<?x64xf32>, %[[K:[a-z0-9]*]]: tensor<?x64xf32>, %[[V:[a-z0-9]*]]: tensor<?x32xf32>
// CHECK: %[[ONE:.*]] = arith.cmpi eq, %[[P:.*]], %c1
// CHECK: scf.if %[[ONE]] -> (tensor<?x32xf32>) {
// CHECK: %[[ROW:.*]] = tensor.extract_slice %[[Q]][0, 0] [1, 64] [1, 1]
// CHECK: %[[Y1:.*]] = cascade.cascade reassoc ranks(p = 1,
// CHECK: cascade.einsum [p, m, e] (%[[ROW]][p, e], %{{.*}}[m, e]) reduce(add) -> [p, m]
// CHECK: %[[CAST:.*]] = tensor.cast %[[Y1]]
// CHECK: scf.yield %[[CAST]]
// CHECK: } else {
// CHECK: cascade.cascade reassoc ranks(p = %[[P]],
// CHECK: %[[S0:.*]] = cascade.einsum [p, f] () -> [f, p] {
// CHECK: () -> tensor<32x?xf32>
// CHECK: %[[HELD:.*]] = cascade.einsum [p, e] (%[[Q]][p, e]) -> [e, p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: cascade.yield %[[A]] : f32
// CHECK-NEXT: (tensor<?x64xf32>) -> tensor<64x?xf32>
// CHECK: %[[R:.*]]:2 = cascade.iterate "m" (%[[KEY:.*]] = %[[K]][0], %[[VALUE:.*]] = %[[V]][0]) carry(%[[D:.*]] = %{{.*}}, %[[S:.*]] = %[[S0]]) : {{.*}}, (tensor<?xf32>, tensor<32x?xf32>)
// CHECK: %[[QK:.*]] = cascade.einsum [p, m, e] (%[[HELD]][e, p], %[[KEY]][m, e]) reduce(add) -> [m, p]
// CHECK: cascade.einsum [p, m] (%[[QK]][m, p]) reduce(max) -> [p]
// CHECK: %[[E:.*]] = cascade.einsum [p, m] (%[[QK]][m, p], %{{.*}}[p]) -> [m, p]
// CHECK: %[[MOVED:.*]] = cascade.einsum [p, f] (%[[S]][f, p], %{{.*}}[p]) -> [f, p]
// CHECK: cascade.einsum [p, f, m] (%[[E]][m, p], %[[VALUE]][m, f]) reduce(add) init(%[[MOVED]]) -> [f, p]
// CHECK: cascade.yield %{{.*}}, %{{.*}} : tensor<?xf32>, tensor<32x?xf32>
// CHECK: %[[Y:.*]] = cascade.einsum [p, f] (%[[R]]#1[f, p]) -> [p, f]
// CHECK: cascade.yield %[[Y]] : tensor<?x32xf32>
func.func @rows(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %v: tensor<?x32xf32>, %p: index, %m: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64, f = 32) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?x32xf32>
    %r:2 = cascade.iterate "m" (%key = %k[0], %value = %v[0]) carry(%d = %d0, %s = %s0) : (tensor<?x64xf32>, tensor<?x32xf32>), (tensor<?xf32>, tensor<?x32xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
      %l = cascade.einsum [p, m] (%qk[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %e = cascade.einsum [p, m] (%qk[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
      %moved = cascade.einsum [p, f] (%s[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
      %s1 = cascade.einsum [p, f, m] (%e[p, m], %value[m, f]) reduce(add) init(%moved) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<?x?xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?x32xf32>
    }
    cascade.yield %r#1 : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// A row alone fills no vector: all stays as it is.
// CHECK-LABEL: func.func @one_row(
// CHECK: cascade.iterate
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %{{.*}}[m, e]) reduce(add) -> [p, m]
func.func @one_row(%q: tensor<1x64xf32>, %k: tensor<128x64xf32>) -> tensor<1xf32> {
  %y = cascade.cascade reassoc ranks(p = 1, m = 128, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %r = cascade.iterate "m" (%key = %k[0]) carry(%d = %d0) : (tensor<128x64xf32>), (tensor<1xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<1x64xf32>, tensor<?x64xf32>) -> tensor<1x?xf32>
      %d1 = cascade.einsum [p, m] (%qk[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %d1 : tensor<1xf32>
    }
    cascade.yield %r : tensor<1xf32>
  } : tensor<1xf32>
  return %y : tensor<1xf32>
}

// Nor do vectors lie along heads, where each has keys of its own that would be
// gathered.
// CHECK-LABEL: func.func @heads(
// CHECK: cascade.iterate
// CHECK: cascade.einsum [h, p, m, e] (%arg0[h, p, e], %{{.*}}[h, m, e]) reduce(add) -> [h, p, m]
func.func @heads(%q: tensor<8x1x64xf32>, %k: tensor<8x128x64xf32>) -> tensor<8x1xf32> {
  %y = cascade.cascade reassoc ranks(h = 8, p = 1, m = 128, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x1xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x128x64xf32>), (tensor<8x1xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, p, e], %key[h, m, e]) reduce(add) -> [h, p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x1x64xf32>, tensor<8x?x64xf32>) -> tensor<8x1x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, p, m]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x1x?xf32>) -> tensor<8x1xf32>
      cascade.yield %d1 : tensor<8x1xf32>
    }
    cascade.yield %r : tensor<8x1xf32>
  } : tensor<8x1xf32>
  return %y : tensor<8x1xf32>
}

// Heads that share their keys are rows like others.
// CHECK-LABEL: func.func @groups(
// CHECK: %[[HELD:.*]] = cascade.einsum [h, g, p, e] (%arg0[h, g, p, e]) -> [h, p, e, g]
// CHECK: cascade.iterate
// CHECK: cascade.einsum [h, g, p, m, e] (%[[HELD]][h, p, e, g], %{{.*}}[h, m, e]) reduce(add) -> [h, p, m, g]
// CHECK: cascade.einsum [h, g, p, m] (%{{.*}}[h, p, m, g]) reduce(max) init(%{{.*}}) -> [h, p, g]
// CHECK: %[[Y:.*]] = cascade.einsum [h, g, p] (%{{.*}}[h, p, g]) -> [h, g, p]
// CHECK: cascade.yield %[[Y]]
func.func @groups(%q: tensor<2x4x1x64xf32>, %k: tensor<2x128x64xf32>) -> tensor<2x4x1xf32> {
  %y = cascade.cascade reassoc ranks(h = 2, g = 4, p = 1, m = 128, e = 64) {
    %d0 = cascade.einsum [h, g, p] () -> [h, g, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x4x1xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<2x128x64xf32>), (tensor<2x4x1xf32>) {
      %qk = cascade.einsum [h, g, p, m, e] (%q[h, g, p, e], %key[h, m, e]) reduce(add) -> [h, g, p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<2x4x1x64xf32>, tensor<2x?x64xf32>) -> tensor<2x4x1x?xf32>
      %d1 = cascade.einsum [h, g, p, m] (%qk[h, g, p, m]) reduce(max) init(%d) -> [h, g, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<2x4x1x?xf32>) -> tensor<2x4x1xf32>
      cascade.yield %d1 : tensor<2x4x1xf32>
    }
    cascade.yield %r : tensor<2x4x1xf32>
  } : tensor<2x4x1xf32>
  return %y : tensor<2x4x1xf32>
}

// A mask is read where it lies.
// CHECK-LABEL: func.func @mask(
// CHECK: %[[KEEP:.*]] = cascade.einsum [p, m] (%arg1[p]) -> [m, p]
// CHECK: cascade.einsum [p, m] (%{{.*}}[m]) reduce(add) mask(%[[KEEP]][m, p]) init(%{{.*}}) -> [p]
func.func @mask(%x: tensor<64xf32>, %bits: tensor<8xi8>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 64) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%part = %x[0]) carry(%s = %s0) : (tensor<64xf32>), (tensor<8xf32>) {
      %keep = cascade.einsum [p, m] (%bits[p]) -> [p, m] {
      ^bb0(%b: i8):
        cascade.yield %b : i8
      } : (tensor<8xi8>) -> tensor<8x?xi8>
      %s1 = cascade.einsum [p, m] (%part[m]) reduce(add) mask(%keep[p, m]) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?xf32>, tensor<8x?xi8>) -> tensor<8xf32>
      cascade.yield %s1 : tensor<8xf32>
    }
    cascade.yield %r : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// What is gone over part by part stays cut where it is: then all stays as it is.
// CHECK-LABEL: func.func @stream(
// CHECK: %[[B:.*]] = cascade.einsum [p, m] (%arg2[p, m]) -> [p, m]
// CHECK: cascade.iterate "m" (%{{.*}} = %arg1[0], %[[PART:.*]] = %[[B]][1])
// CHECK: cascade.einsum [p, m] (%{{.*}}[p, m], %[[PART]][p, m]) -> [p, m]
func.func @stream(%q: tensor<8x4xf32>, %k: tensor<64x4xf32>, %bias: tensor<8x64xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 64, e = 4) {
    %b = cascade.einsum [p, m] (%bias[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %t = arith.negf %a : f32
      cascade.yield %t : f32
    } : (tensor<8x64xf32>) -> tensor<8x64xf32>
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%key = %k[0], %pb = %b[1]) carry(%d = %d0) : (tensor<64x4xf32>, tensor<8x64xf32>), (tensor<8xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b2: f32):
        %t = arith.mulf %a, %b2 : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %z = cascade.einsum [p, m] (%qk[p, m], %pb[p, m]) -> [p, m] {
      ^bb0(%a: f32, %b2: f32):
        %t = arith.addf %a, %b2 : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<8x?xf32>) -> tensor<8x?xf32>
      %d1 = cascade.einsum [p, m] (%z[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1 : tensor<8xf32>
    }
    cascade.yield %r : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// Of a bias each part is copied, once for all that read it.
// CHECK-LABEL: func.func @bias(
// CHECK: cascade.iterate "m" (%{{.*}} = %arg1[0], %[[PART:.*]] = %arg2[2])
// CHECK-NEXT: %[[COPY:.*]] = cascade.einsum [p, m] (%[[PART]][0, p, m]) -> [m, p] {
// CHECK: (tensor<1x8x?xf32>) -> tensor<?x8xf32>
// CHECK-COUNT-2: cascade.einsum [p, m] (%{{.*}}[m, p], %[[COPY]][m, p]) -> [m, p]
func.func @bias(%q: tensor<8x4xf32>, %k: tensor<64x4xf32>, %bias: tensor<1x8x64xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 64, e = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%key = %k[0], %b = %bias[2]) carry(%d = %d0) : (tensor<64x4xf32>, tensor<1x8x64xf32>), (tensor<8xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b2: f32):
        %t = arith.mulf %a, %b2 : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %z = cascade.einsum [p, m] (%qk[p, m], %b[0, p, m]) -> [p, m] {
      ^bb0(%a: f32, %b2: f32):
        %t = arith.addf %a, %b2 : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<1x8x?xf32>) -> tensor<8x?xf32>
      %w = cascade.einsum [p, m] (%z[p, m], %b[0, p, m]) -> [p, m] {
      ^bb0(%a: f32, %b2: f32):
        %t = arith.mulf %a, %b2 : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<1x8x?xf32>) -> tensor<8x?xf32>
      %d1 = cascade.einsum [p, m] (%w[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1 : tensor<8xf32>
    }
    cascade.yield %r : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// So do states that are merged, whose sums begin with the dimensions of their
// references.
// CHECK-LABEL: func.func @merge(
// CHECK: cascade.merge {{.*}} : (tensor<3x8x16xf32>) -> (tensor<8xf32>, tensor<8x16xf32>)
func.func @merge(%x: tensor<64xf32>, %d: tensor<3x8xf32>, %t: tensor<3x8x16xf32>) -> tensor<8x16xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, f = 16, s = 3, m = 64) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%part = %x[0]) carry(%s = %s0) : (tensor<64xf32>), (tensor<8xf32>) {
      %s1 = cascade.einsum [p, m] (%part[m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?xf32>) -> tensor<8xf32>
      cascade.yield %s1 : tensor<8xf32>
    }
    %dd = cascade.einsum [s, p] (%d[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<3x8xf32>) -> tensor<3x8xf32>
    %tt = cascade.einsum [s, p, f] (%t[s, p, f]) -> [s, p, f] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<3x8x16xf32>) -> tensor<3x8x16xf32>
    %g:2 = cascade.merge %dd : tensor<3x8xf32> sums(%tt) exp max : (tensor<3x8x16xf32>) -> (tensor<8xf32>, tensor<8x16xf32>)
    %o = cascade.einsum [p, f] (%r[p], %g#1[p, f]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %u = arith.addf %a, %b : f32
      cascade.yield %u : f32
    } : (tensor<8xf32>, tensor<8x16xf32>) -> tensor<8x16xf32>
    cascade.yield %o : tensor<8x16xf32>
  } : tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// What products read is widened before they do: what is held before the loop, as it
// is copied, and a part once.
// CHECK-LABEL: func.func @widened(
// CHECK: %[[HELD:.*]] = cascade.einsum [p, e] (%arg0[p, e]) -> [e, p]
// CHECK: arith.extf
// CHECK: cascade.iterate "m" (%[[KEY:.*]] = %arg1[0])
// CHECK: %[[WIDE:.*]] = cascade.einsum [m, e] (%[[KEY]][m, e]) -> [m, e]
// CHECK: arith.extf
// CHECK: cascade.einsum [p, m, e] (%[[HELD]][e, p], %[[WIDE]][m, e]) reduce(add) -> [m, p]
// CHECK-NOT: arith.extf
func.func @widened(%q: tensor<8x64xf16>, %k: tensor<128x64xf16>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%key = %k[0]) carry(%d = %d0) : (tensor<128x64xf16>), (tensor<8xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f16, %b: f16):
        %s = arith.extf %a : f16 to f32
        %t = arith.extf %b : f16 to f32
        %u = arith.mulf %s, %t : f32
        cascade.yield %u : f32
      } : (tensor<8x64xf16>, tensor<?x64xf16>) -> tensor<8x?xf32>
      %d1 = cascade.einsum [p, m] (%qk[p, m]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1 : tensor<8xf32>
    }
    cascade.yield %r : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// With fewer rows than a vector has lanes, states that are longer than a vector keep
// their layout; scores, and states of one number a row, do not.
// CHECK-LABEL: func.func @few_rows(
// CHECK: %[[R:.*]]:2 = cascade.iterate "m" {{.*}} : (tensor<128x64xf32>, tensor<128x32xf32>), (tensor<4xf32>, tensor<4x32xf32>)
// CHECK: cascade.einsum [p, m, e] {{.*}} reduce(add) -> [m, p]
// CHECK: cascade.einsum [p, f, m] (%{{.*}}[m, p], %{{.*}}[m, f]) reduce(add) init(%{{.*}}) -> [p, f]
func.func @few_rows(%q: tensor<4x64xf32>, %k: tensor<128x64xf32>, %v: tensor<128x32xf32>) -> tensor<4x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = 128, e = 64, f = 32) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4x32xf32>
    %r:2 = cascade.iterate "m" (%key = %k[0], %value = %v[0]) carry(%d = %d0, %s = %s0) : (tensor<128x64xf32>, tensor<128x32xf32>), (tensor<4xf32>, tensor<4x32xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<4x64xf32>, tensor<?x64xf32>) -> tensor<4x?xf32>
      %l = cascade.einsum [p, m] (%qk[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<4xf32>
      %e = cascade.einsum [p, m] (%qk[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<4x?xf32>, tensor<4xf32>) -> tensor<4x?xf32>
      %moved = cascade.einsum [p, f] (%s[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<4x32xf32>, tensor<4xf32>) -> tensor<4x32xf32>
      %s1 = cascade.einsum [p, f, m] (%e[p, m], %value[m, f]) reduce(add) init(%moved) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<4x?xf32>, tensor<?x32xf32>) -> tensor<4x32xf32>
      cascade.yield %d1, %s1 : tensor<4xf32>, tensor<4x32xf32>
    }
    %o = cascade.einsum [p, f] (%r#1[p, f]) -> [p, f] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x32xf32>) -> tensor<4x32xf32>
    cascade.yield %o : tensor<4x32xf32>
  } : tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}
