// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(split-iterations,canonicalize,cse))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(count-passes)' -o %t.mlir 2>&1 | FileCheck %s --check-prefix=REPORT

// REPORT: cascade {{.*}} in @squares
// REPORT: merge      add, squares about the mean: 12 bytes a row
// REPORT: cascade {{.*}} in @other_points
// REPORT: merge      add: 12 bytes a row

#even = affine_set<(d0, d1) : (d1 mod 2 == 0)>

// Squares of parts move to the mean of all, as those gone over before move to a
// new one.
// CHECK-LABEL: func.func @squares(
// CHECK: %[[STATES:.*]]:3 = cascade.cascade reassoc ranks(p = 1, m = 4096, s = 8) {
// CHECK: cascade.cascade reassoc ranks(s = 8, p = 1) {
// CHECK-DAG: %[[SUMS:.*]] = cascade.einsum [s, p] (%[[STATES]]#0[s, p]) -> [s, p]
// CHECK-DAG: %[[COUNTS:.*]] = cascade.einsum [s, p] (%[[STATES]]#1[s, p]) -> [s, p]
// CHECK-DAG: %[[SQUARES:.*]] = cascade.einsum [s, p] (%[[STATES]]#2[s, p]) -> [s, p]
// CHECK-DAG: %[[SUM:.*]] = cascade.einsum [s, p] (%[[SUMS]][s, p]) reduce(add) -> [p]
// CHECK-DAG: %[[COUNT:.*]] = cascade.einsum [s, p] (%[[COUNTS]][s, p]) reduce(add) -> [p]
// CHECK: %[[ALL:.*]] = cascade.einsum [s, p] (%[[SQUARES]][s, p], %[[SUMS]][s, p], %[[COUNTS]][s, p], %[[SUM]][p], %[[COUNT]][p]) reduce(add) -> [p] {
// CHECK-NEXT: ^bb0(%[[Q:.*]]: f32, %[[SI:.*]]: f32, %[[NI:.*]]: f32, %[[S:.*]]: f32, %[[N:.*]]: f32):
// CHECK-NEXT: %[[FROM:.*]] = cascade.divide %[[SI]], %[[NI]] empty(0.000000e+00)
// CHECK-NEXT: %[[TO:.*]] = cascade.divide %[[S]], %[[N]] empty(0.000000e+00)
// CHECK-NEXT: %[[BY:.*]] = arith.subf %[[FROM]], %[[TO]]
// CHECK-NEXT: %[[SQUARE:.*]] = arith.mulf %[[BY]], %[[BY]]
// CHECK-NEXT: %[[MOVE:.*]] = arith.mulf %[[NI]], %[[SQUARE]]
// CHECK-NEXT: %[[MOVED:.*]] = arith.addf %[[Q]], %[[MOVE]]
// CHECK-NEXT: cascade.yield %[[MOVED]]
// CHECK: cascade.yield %[[ALL]]
func.func @squares(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %y = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %s, %n, %q = cascade.iterate "m" (%xp = %x[1]) carry(%sc = %z, %nc = %z, %qc = %z) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) {
      %sl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %nl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant 1.0 : f32
        cascade.yield %c : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %from = cascade.einsum [p] (%sc[p], %nc[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = cascade.divide %a, %b empty(0.000000e+00) : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %to = cascade.einsum [p] (%sc[p], %sl[p], %nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.addf %a, %b : f32
        %f = arith.addf %c, %d : f32
        %g = cascade.divide %e, %f empty(0.000000e+00) : f32
        cascade.yield %g : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %moved = cascade.einsum [p] (%qc[p], %nc[p], %from[p], %to[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.subf %c, %d : f32
        %f = arith.mulf %e, %e : f32
        %g = arith.mulf %b, %f : f32
        %h = arith.addf %a, %g : f32
        cascade.yield %h : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %qn = cascade.einsum [p, m] (%xp[p, m], %to[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.subf %a, %b : f32
        %d = arith.mulf %c, %c : f32
        cascade.yield %d : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1xf32>
      %sn = cascade.einsum [p] (%sc[p], %sl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %nn = cascade.einsum [p] (%nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      cascade.yield %sn, %nn, %qn : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
    }
    cascade.yield %q : tensor<1xf32>
  } : tensor<1xf32>
  return %y : tensor<1xf32>
}

// Distances of other points than the mean is of.
// CHECK-LABEL: func.func @other_points(
// CHECK-NOT: ranks(s
func.func @other_points(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %y = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %s, %n, %q = cascade.iterate "m" (%xp = %x[1]) carry(%sc = %z, %nc = %z, %qc = %z) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) {
      %sl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %nl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant 1.0 : f32
        cascade.yield %c : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %from = cascade.einsum [p] (%sc[p], %nc[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = cascade.divide %a, %b empty(0.000000e+00) : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %to = cascade.einsum [p] (%sc[p], %sl[p], %nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.addf %a, %b : f32
        %f = arith.addf %c, %d : f32
        %g = cascade.divide %e, %f empty(0.000000e+00) : f32
        cascade.yield %g : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %moved = cascade.einsum [p] (%qc[p], %nc[p], %from[p], %to[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.subf %c, %d : f32
        %f = arith.mulf %e, %e : f32
        %g = arith.mulf %b, %f : f32
        %h = arith.addf %a, %g : f32
        cascade.yield %h : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %qn = cascade.einsum [p, m] (%xp[p, m], %to[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %n1 = arith.negf %a : f32
        %c = arith.subf %n1, %b : f32
        %d = arith.mulf %c, %c : f32
        cascade.yield %d : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1xf32>
      %sn = cascade.einsum [p] (%sc[p], %sl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %nn = cascade.einsum [p] (%nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      cascade.yield %sn, %nn, %qn : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
    }
    cascade.yield %q : tensor<1xf32>
  } : tensor<1xf32>
  return %y : tensor<1xf32>
}

// The distances are to the mean of what was gone over before, and those from
// there on move with the next.
// CHECK-LABEL: func.func @about_another(
// CHECK-NOT: ranks(s
func.func @about_another(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %y = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %s, %n, %q = cascade.iterate "m" (%xp = %x[1]) carry(%sc = %z, %nc = %z, %qc = %z) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) {
      %sl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %nl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant 1.0 : f32
        cascade.yield %c : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %from = cascade.einsum [p] (%sc[p], %nc[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = cascade.divide %a, %b empty(0.000000e+00) : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %to = cascade.einsum [p] (%sc[p], %sl[p], %nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.addf %a, %b : f32
        %f = arith.addf %c, %d : f32
        %g = cascade.divide %e, %f empty(0.000000e+00) : f32
        cascade.yield %g : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %moved = cascade.einsum [p] (%qc[p], %nc[p], %from[p], %to[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.subf %c, %d : f32
        %f = arith.mulf %e, %e : f32
        %g = arith.mulf %b, %f : f32
        %h = arith.addf %a, %g : f32
        cascade.yield %h : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %qn = cascade.einsum [p, m] (%xp[p, m], %from[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.subf %a, %b : f32
        %d = arith.mulf %c, %c : f32
        cascade.yield %d : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1xf32>
      %sn = cascade.einsum [p] (%sc[p], %sl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %nn = cascade.einsum [p] (%nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      cascade.yield %sn, %nn, %qn : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
    }
    cascade.yield %q : tensor<1xf32>
  } : tensor<1xf32>
  return %y : tensor<1xf32>
}

// The count is of some of the points only.
// CHECK-LABEL: func.func @counts_others(
// CHECK-NOT: ranks(s
func.func @counts_others(%x: tensor<1x4096xf32>) -> tensor<1xf32> {
  %y = cascade.cascade reassoc ranks(p = 1, m = 4096) {
    %z = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %s, %n, %q = cascade.iterate "m" (%xp = %x[1]) carry(%sc = %z, %nc = %z, %qc = %z) : (tensor<1x4096xf32>), (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) {
      %sl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %nl = cascade.einsum [p, m] (%xp[p, m]) reduce(add) filters([#even]) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant 1.0 : f32
        cascade.yield %c : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %from = cascade.einsum [p] (%sc[p], %nc[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = cascade.divide %a, %b empty(0.000000e+00) : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %to = cascade.einsum [p] (%sc[p], %sl[p], %nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.addf %a, %b : f32
        %f = arith.addf %c, %d : f32
        %g = cascade.divide %e, %f empty(0.000000e+00) : f32
        cascade.yield %g : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %moved = cascade.einsum [p] (%qc[p], %nc[p], %from[p], %to[p]) -> [p] {
      ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
        %e = arith.subf %c, %d : f32
        %f = arith.mulf %e, %e : f32
        %g = arith.mulf %b, %f : f32
        %h = arith.addf %a, %g : f32
        cascade.yield %h : f32
      } : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %qn = cascade.einsum [p, m] (%xp[p, m], %to[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.subf %a, %b : f32
        %d = arith.mulf %c, %c : f32
        cascade.yield %d : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1xf32>
      %sn = cascade.einsum [p] (%sc[p], %sl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %nn = cascade.einsum [p] (%nc[p], %nl[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.addf %a, %b : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      cascade.yield %sn, %nn, %qn : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
    }
    cascade.yield %q : tensor<1xf32>
  } : tensor<1xf32>
  return %y : tensor<1xf32>
}
