// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(raise-cascades))' | FileCheck %s

#pm = affine_map<(p, m) -> (p, m)>
#p = affine_map<(p, m) -> (p)>
#m = affine_map<(p, m) -> (m)>
#qe = affine_map<(p, m, e) -> (p, e)>
#ke = affine_map<(p, m, e) -> (m, e)>
#out = affine_map<(p, m, e) -> (p, m)>

// Weights are summed for each key, too: a second cascade computes them again,
// of the row's maximum and of the reciprocal of its sum, and goes over queries.
// CHECK-LABEL: func @summed
// CHECK-SAME: (%[[Q:.*]]: tensor<99x16xf32>, %[[K:.*]]: tensor<77x16xf32>)
// CHECK: %[[STATS:.*]]:2 = cascade.cascade reassoc ranks(p = 99, m = 77, {{.*}} {
// CHECK: reduce(max) -> [p]
// CHECK: reduce(add) -> [p]
// CHECK: } : tensor<99xf32>, tensor<99xf32>
// CHECK: %[[R:.*]] = linalg.generic {{.*}} ins(%[[STATS]]#1 : tensor<99xf32>)
// CHECK: arith.divf
// CHECK: cascade.cascade reassoc ranks(m = 99, p = 77, {{.*}}rewrites = ["D compute again for sum[m] what is along p"]
// CHECK: %[[S:.*]] = cascade.einsum [m, p, e] (%[[Q]][m, e], %[[K]][p, e]) reduce(add)
// CHECK: %[[E:.*]] = cascade.einsum [m, p] (%[[S]][m, p], %[[STATS]]#0[m])
// CHECK: %[[W:.*]] = cascade.einsum [m, p] (%[[E]][m, p], %[[R]][m])
// CHECK: arith.mulf
// CHECK: cascade.einsum [m, p] (%[[W]][m, p]) reduce(add) -> [p]

// Of few queries they are kept.
// CHECK-LABEL: func @few
// CHECK: cascade.cascade {{.*}}refusals = ["D compute again for sums of rows: it costs less to keep it"]
// CHECK-NOT: cascade.cascade
// CHECK: linalg.generic
// CHECK: return

// So are weights that are a result.
// CHECK-LABEL: func @whole
// CHECK: cascade.cascade {{.*}}refusals = ["D compute again for sums of rows: others read all of it"]
// CHECK-NOT: cascade.cascade
// CHECK: return

func.func @summed(%q: tensor<99x16xf32>, %k: tensor<77x16xf32>) -> tensor<77xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty() : tensor<99x77xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x77xf32>) -> tensor<99x77xf32>
  %s = linalg.generic {indexing_maps = [#qe, #ke, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<99x16xf32>, tensor<77x16xf32>) outs(%i0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.mulf %a, %b : f32
    %r = arith.addf %c, %x : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %e1 = tensor.empty() : tensor<99xf32>
  %i1 = linalg.fill ins(%low : f32) outs(%e1 : tensor<99xf32>) -> tensor<99xf32>
  %d = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<99x77xf32>) outs(%i1 : tensor<99xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.maximumf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<99xf32>
  %w = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%s, %d : tensor<99x77xf32>, tensor<99xf32>) outs(%e0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    %r = math.exp %x : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %i2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<99xf32>) -> tensor<99xf32>
  %t = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%w : tensor<99x77xf32>) outs(%i2 : tensor<99xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<99xf32>
  %n = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%w, %t : tensor<99x77xf32>, tensor<99xf32>) outs(%e0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %e2 = tensor.empty() : tensor<77xf32>
  %i3 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<77xf32>) -> tensor<77xf32>
  %y = linalg.generic {indexing_maps = [#pm, #m], iterator_types = ["reduction", "parallel"]} ins(%n : tensor<99x77xf32>) outs(%i3 : tensor<77xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<77xf32>
  return %y : tensor<77xf32>
}

func.func @few(%q: tensor<9x16xf32>, %k: tensor<77x16xf32>) -> tensor<77xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty() : tensor<9x77xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<9x77xf32>) -> tensor<9x77xf32>
  %s = linalg.generic {indexing_maps = [#qe, #ke, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<9x16xf32>, tensor<77x16xf32>) outs(%i0 : tensor<9x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.mulf %a, %b : f32
    %r = arith.addf %c, %x : f32
    linalg.yield %r : f32
  } -> tensor<9x77xf32>
  %e1 = tensor.empty() : tensor<9xf32>
  %i1 = linalg.fill ins(%low : f32) outs(%e1 : tensor<9xf32>) -> tensor<9xf32>
  %d = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<9x77xf32>) outs(%i1 : tensor<9xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.maximumf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<9xf32>
  %w = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%s, %d : tensor<9x77xf32>, tensor<9xf32>) outs(%e0 : tensor<9x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    %r = math.exp %x : f32
    linalg.yield %r : f32
  } -> tensor<9x77xf32>
  %i2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<9xf32>) -> tensor<9xf32>
  %t = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%w : tensor<9x77xf32>) outs(%i2 : tensor<9xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<9xf32>
  %n = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%w, %t : tensor<9x77xf32>, tensor<9xf32>) outs(%e0 : tensor<9x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<9x77xf32>
  %e2 = tensor.empty() : tensor<77xf32>
  %i3 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<77xf32>) -> tensor<77xf32>
  %y = linalg.generic {indexing_maps = [#pm, #m], iterator_types = ["reduction", "parallel"]} ins(%n : tensor<9x77xf32>) outs(%i3 : tensor<77xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<77xf32>
  return %y : tensor<77xf32>
}

func.func @whole(%q: tensor<99x16xf32>, %k: tensor<77x16xf32>) -> (tensor<77xf32>, tensor<99x77xf32>) {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e0 = tensor.empty() : tensor<99x77xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x77xf32>) -> tensor<99x77xf32>
  %s = linalg.generic {indexing_maps = [#qe, #ke, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<99x16xf32>, tensor<77x16xf32>) outs(%i0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.mulf %a, %b : f32
    %r = arith.addf %c, %x : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %e1 = tensor.empty() : tensor<99xf32>
  %i1 = linalg.fill ins(%low : f32) outs(%e1 : tensor<99xf32>) -> tensor<99xf32>
  %d = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<99x77xf32>) outs(%i1 : tensor<99xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.maximumf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<99xf32>
  %w = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%s, %d : tensor<99x77xf32>, tensor<99xf32>) outs(%e0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %x = arith.subf %a, %b : f32
    %r = math.exp %x : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %i2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<99xf32>) -> tensor<99xf32>
  %t = linalg.generic {indexing_maps = [#pm, #p], iterator_types = ["parallel", "reduction"]} ins(%w : tensor<99x77xf32>) outs(%i2 : tensor<99xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<99xf32>
  %n = linalg.generic {indexing_maps = [#pm, #p, #pm], iterator_types = ["parallel", "parallel"]} ins(%w, %t : tensor<99x77xf32>, tensor<99xf32>) outs(%e0 : tensor<99x77xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<99x77xf32>
  %e2 = tensor.empty() : tensor<77xf32>
  %i3 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<77xf32>) -> tensor<77xf32>
  %y = linalg.generic {indexing_maps = [#pm, #m], iterator_types = ["reduction", "parallel"]} ins(%n : tensor<99x77xf32>) outs(%i3 : tensor<77xf32>) {
  ^bb0(%a: f32, %c: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> tensor<77xf32>
  return %y, %n : tensor<77xf32>, tensor<99x77xf32>
}
