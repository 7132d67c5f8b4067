// Choices are barriers: nothing is rewritten across one, and it is said why.
// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s
// RUN: lutra-opt %s --count-passes -o %t.mlir 2>&1 | FileCheck %s --check-prefix=COUNT

// Routing: the choice is made of the shares, in the third pass over them; sums of
// what is chosen go over the places, not over the points.
// CHECK: refusals = ["top-k over m: barrier behind pass 3 of 3, which points of m are chosen depends on all of them"]
// CHECK: cascade.top_k
// COUNT-LABEL: cascade routing in @routing
// COUNT-NEXT:     ranks      p = 8, m = 64, n = 4{{$}}
// COUNT-NEXT:     passes     p 1, m 3, n 2{{$}}
// COUNT-NEXT:     over m     x 3, share 1{{$}}
// COUNT-NEXT:     over n     choice.values 2 kept{{$}}
func.func @routing(%x: tensor<8x64xf32> {lutra.name = "x"}) -> (tensor<8x4xf32>, tensor<8x4xi64>) {
  %y:2 = cascade.cascade reassoc ranks(p = 8, m = 64, n = 4) {
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x64xf32>) -> tensor<8xf32> loc("largest")
    %t = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<8x64xf32>, tensor<8xf32>) -> tensor<8xf32> loc("total")
    %s = cascade.einsum [p, m] (%x[p, m], %d[p], %t[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      %q = arith.divf %e, %c : f32
      cascade.yield %q : f32
    } : (tensor<8x64xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<8x64xf32> loc("share")
    %v, %i = cascade.top_k %s["p", "m"] along "m" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64> loc("choice")
    %w = cascade.einsum [p, n] (%v[p, n]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x4xf32>) -> tensor<8xf32> loc("chosen")
    %o = cascade.einsum [p, n] (%v[p, n], %w[p]) -> [p, n] {
    ^bb0(%a: f32, %b: f32):
      %q = arith.divf %a, %b : f32
      cascade.yield %q : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32> loc("route")
    cascade.yield %o, %i : tensor<8x4xf32>, tensor<8x4xi64>
  } : tensor<8x4xf32>, tensor<8x4xi64> loc("routing")
  return %y#0, %y#1 : tensor<8x4xf32>, tensor<8x4xi64>
}

// What goes over the points again with what was chosen of them is another pass.
// CHECK: refusals = ["top-k over m: barrier behind pass 1 of 2, which points of m are chosen depends on all of them"]
// COUNT-LABEL: cascade threshold in @threshold
// COUNT-NEXT:     ranks      p = 8, m = 64, n = 4{{$}}
// COUNT-NEXT:     passes     p 1, m 2, n 1{{$}}
func.func @threshold(%x: tensor<8x64xf32> {lutra.name = "x"}) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 64, n = 4) {
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64> loc("choice")
    %d = cascade.einsum [p, n] (%v[p, n]) reduce(min) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x4xf32>) -> tensor<8xf32> loc("least")
    %s = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %z = arith.constant 0.0 : f32
      %c = arith.cmpf oge, %a, %b : f32
      %r = arith.select %c, %a, %z : f32
      cascade.yield %r : f32
    } : (tensor<8x64xf32>, tensor<8xf32>) -> tensor<8xf32> loc("sum")
    cascade.yield %s : tensor<8xf32>
  } : tensor<8xf32> loc("threshold")
  return %y : tensor<8xf32>
}
