// How often cascades go over their ranks: what the literature says of its own, and
// what else is computed in several passes.
// RUN: lutra-opt %s --count-passes -o %t.mlir 2>&1 | FileCheck %s
// RUN: lutra-opt %s --count-passes="rows=16 stream=32" -o %t.mlir 2>&1 | FileCheck %s --check-prefix=TILE
// RUN: not lutra-opt %s --count-passes=rows=0 2>&1 | FileCheck %s --check-prefix=SIZE

// TILE: tile       p 16, m 32, e 64, f 64
// SIZE: error: expected a tile of at least one point, got 0 by 128

// Y = A_k B_k, then Z = Y A_k: A is read again with the whole of Y.
// CHECK-LABEL: cascade C1 in @C1
// CHECK-NEXT:     ranks      k = 64{{$}}
// CHECK-NEXT:     passes     k 2{{$}}
// CHECK-NEXT:     over k     A 2, B 1{{$}}
func.func @C1(%A: tensor<64xf32> {lutra.name = "A"}, %B: tensor<64xf32> {lutra.name = "B"}) -> tensor<f32> {
  %y = cascade.cascade reassoc ranks(k = 64) {
    %Y = cascade.einsum [k] (%A[k], %B[k]) reduce(add) -> [] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<64xf32>, tensor<64xf32>) -> tensor<f32> loc("Y")
    %Z = cascade.einsum [k] (%Y[], %A[k]) reduce(add) -> [] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<f32>, tensor<64xf32>) -> tensor<f32> loc("Z")
    cascade.yield %Z : tensor<f32>
  } : tensor<f32> loc("C1")
  return %y : tensor<f32>
}

// The same with Y taken out of the sum.
// CHECK-LABEL: cascade C2 in @C2
// CHECK-NEXT:     ranks      k = 64{{$}}
// CHECK-NEXT:     passes     k 1{{$}}
// CHECK-NEXT:     over k     A 1, B 1{{$}}
func.func @C2(%A: tensor<64xf32> {lutra.name = "A"}, %B: tensor<64xf32> {lutra.name = "B"}) -> tensor<f32> {
  %y = cascade.cascade reassoc ranks(k = 64) {
    %Y = cascade.einsum [k] (%A[k], %B[k]) reduce(add) -> [] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<64xf32>, tensor<64xf32>) -> tensor<f32> loc("Y")
    %X = cascade.einsum [k] (%A[k]) reduce(add) -> [] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<64xf32>) -> tensor<f32> loc("X")
    %Z = cascade.einsum [] (%Y[], %X[]) -> [] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<f32>, tensor<f32>) -> tensor<f32> loc("Z")
    cascade.yield %Z : tensor<f32>
  } : tensor<f32> loc("C2")
  return %y : tensor<f32>
}

// And with both sums carried along: Z moves with Y.
// CHECK-LABEL: cascade C3 in @C3
// CHECK-NEXT:     ranks      k = 64{{$}}
// CHECK-NEXT:     passes     k 1{{$}}
// CHECK-NEXT:     over k     A 1, B 1{{$}}
func.func @C3(%A: tensor<64xf32> {lutra.name = "A"}, %B: tensor<64xf32> {lutra.name = "B"}) -> tensor<f32> {
  %y = cascade.cascade reassoc ranks(k = 64) {
    %y0 = cascade.einsum [] () -> [] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<f32>
    %z0 = cascade.einsum [] () -> [] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<f32>
    %it:2 = cascade.iterate "k" (%ak = %A[0], %bk = %B[0]) carry(%y = %y0, %z = %z0) : (tensor<64xf32>, tensor<64xf32>), (tensor<f32>, tensor<f32>) {
      %LY = cascade.einsum [k] (%ak[k], %bk[k]) reduce(add) -> [] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<f32> loc("LY")
      %y1, %c = cascade.rebase %y, %LY ratio add : tensor<f32> loc("RY")
      %SZ = cascade.einsum [] (%z[], %c[]) -> [] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.divf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<f32>, tensor<f32>) -> tensor<f32>
      %RZ = cascade.einsum [k] (%ak[k], %y1[]) reduce(add) init(%SZ) -> [] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<?xf32>, tensor<f32>) -> tensor<f32> loc("RZ")
      cascade.yield %y1, %RZ : tensor<f32>, tensor<f32>
    }
    %Z = cascade.einsum [] (%it#1[]) -> [] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<f32>) -> tensor<f32> loc("Z")
    cascade.yield %Z : tensor<f32>
  } : tensor<f32> loc("C3")
  return %y : tensor<f32>
}

// Attention as it is defined: each key is seen for the maximum, for the sum, and for the values.
// CHECK-LABEL: cascade C4 in @C4
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 3, e 1, f 1{{$}}
// CHECK-NEXT:     over m     K 1 (3 if recomputed), QK 2 (3 if recomputed) kept, SN 2 kept, A 1, V 1{{$}}
// CHECK-NEXT:     over e     Q 1, K 1{{$}}
// CHECK-NEXT:     tile       p 64, m 128, e 64, f 64{{$}}
// CHECK-NEXT:     footprint  262656 bytes{{$}}
// CHECK-NEXT:                kept: QK 65536, SN 65536{{$}}
// CHECK-NEXT:                state: GM 256, SD 256, AV 16384{{$}}
// CHECK-NEXT:                scratch: A 32768{{$}}
// CHECK-NEXT:                stream: K 32768, V 32768{{$}}
// CHECK-NEXT:                resident: Q 16384{{$}}
// CHECK-NEXT:     traffic    262144 bytes, 524288 if recomputed{{$}}
// CHECK-NEXT:                K: 65536 x 2 tiles x 1{{$}}
// CHECK-NEXT:                V: 65536 x 2 tiles x 1{{$}}
// CHECK-NOT:     merge
func.func @C4(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<128x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) {
    %QK = cascade.einsum [p, m, e] (%Q[p, e], %K[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<256x64xf32>) -> tensor<128x256xf32> loc("QK")
    %GM = cascade.einsum [p, m] (%QK[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("GM")
    %SN = cascade.einsum [p, m] (%QK[p, m], %GM[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("SN")
    %SD = cascade.einsum [p, m] (%SN[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("SD")
    %A = cascade.einsum [p, m] (%SN[p, m], %SD[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("A")
    %AV = cascade.einsum [p, f, m] (%A[p, m], %V[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<256x64xf32>) -> tensor<128x64xf32> loc("AV")
    cascade.yield %AV : tensor<128x64xf32>
  } : tensor<128x64xf32> loc("C4")
  return %y : tensor<128x64xf32>
}

// The same with the maximum carried along, and the sums moved to each new one.
// CHECK-LABEL: cascade C5 in @C5
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 3 -> 1, e 1, f 1{{$}}
// CHECK-NEXT:     over m     K 1, V 1, QK 1, SLN 1{{$}}
// CHECK-NEXT:     over e     K 1, Q 1{{$}}
// CHECK-NEXT:     rewrite    the quotient by SD leaves the sum over m{{$}}
// CHECK-NEXT:     tile       p 64, m 128, e 64, f 64{{$}}
// CHECK-NEXT:     footprint  131584 bytes{{$}}
// CHECK-NEXT:                state: RM 256, RD 256, RNV 16384{{$}}
// CHECK-NEXT:                scratch: QK 32768{{$}}
// CHECK-NEXT:                stream: K 32768, V 32768{{$}}
// CHECK-NEXT:                resident: Q 16384{{$}}
// CHECK-NEXT:     traffic    262144 bytes{{$}}
// CHECK-NEXT:                K: 65536 x 2 tiles x 1{{$}}
// CHECK-NEXT:                V: 65536 x 2 tiles x 1{{$}}
// CHECK-NEXT:     merge      max exp online: 264 bytes a row{{$}}
func.func @C5(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<128x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) attributes {passes = {m = 3 : i64, p = 1 : i64}, rewrites = ["the quotient by SD leaves the sum over m"]} {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<128xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<128xf32>
    %n0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<128x64xf32>
    %it:3 = cascade.iterate "m" (%k = %K[0], %v = %V[0]) carry(%d = %d0, %s = %s0, %n = %n0) : (tensor<256x64xf32>, tensor<256x64xf32>), (tensor<128xf32>, tensor<128xf32>, tensor<128x64xf32>) {
      %QK = cascade.einsum [p, m, e] (%Q[p, e], %k[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<128x64xf32>, tensor<?x64xf32>) -> tensor<128x?xf32> loc("QK")
      %LM = cascade.einsum [p, m] (%QK[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<128x?xf32>) -> tensor<128xf32> loc("LM")
      %d1, %c = cascade.rebase %d, %LM exp max : tensor<128xf32> loc("RM")
      %SLN = cascade.einsum [p, m] (%QK[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %r = math.exp %t : f32
        cascade.yield %r : f32
      } : (tensor<128x?xf32>, tensor<128xf32>) -> tensor<128x?xf32> loc("SLN")
      %SPD = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<128xf32>, tensor<128xf32>) -> tensor<128xf32> loc("SPD")
      %RD = cascade.einsum [p, m] (%SLN[p, m]) reduce(add) init(%SPD) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<128x?xf32>) -> tensor<128xf32> loc("RD")
      %SPNV = cascade.einsum [p, f] (%n[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<128x64xf32>, tensor<128xf32>) -> tensor<128x64xf32> loc("SPNV")
      %RNV = cascade.einsum [p, f, m] (%SLN[p, m], %v[m, f]) reduce(add) init(%SPNV) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<128x?xf32>, tensor<?x64xf32>) -> tensor<128x64xf32> loc("RNV")
      cascade.yield %d1, %RD, %RNV : tensor<128xf32>, tensor<128xf32>, tensor<128x64xf32>
    }
    %AV = cascade.einsum [p, f] (%it#2[p, f], %it#1[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<128xf32>) -> tensor<128x64xf32> loc("AV")
    cascade.yield %AV : tensor<128x64xf32>
  } : tensor<128x64xf32> loc("C5")
  return %y : tensor<128x64xf32>
}

// A filter adds no pass.
// CHECK-LABEL: cascade causal in @causal
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 3, e 1, f 1{{$}}
func.func @causal(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<128x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) {
    %QK = cascade.einsum [p, m, e] (%Q[p, e], %K[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<256x64xf32>) -> tensor<128x256xf32> loc("QK")
    %GM = cascade.einsum [p, m] (%QK[p, m]) reduce(max) filters([affine_set<(d0, d1) : (d0 - d1 + 128 >= 0)>]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("GM")
    %SN = cascade.einsum [p, m] (%QK[p, m], %GM[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("SN")
    %SD = cascade.einsum [p, m] (%SN[p, m]) reduce(add) filters([affine_set<(d0, d1) : (d0 - d1 + 128 >= 0)>]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("SD")
    %A = cascade.einsum [p, m] (%SN[p, m], %SD[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = cascade.divide %a, %b empty(0.0) : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("A")
    %AV = cascade.einsum [p, f, m] (%A[p, m], %V[m, f]) reduce(add) filters([affine_set<(d0, d1, d2) : (d0 - d2 + 128 >= 0)>]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<256x64xf32>) -> tensor<128x64xf32> loc("AV")
    cascade.yield %AV : tensor<128x64xf32>
  } : tensor<128x64xf32> loc("causal")
  return %y : tensor<128x64xf32>
}

// Sigmoids need nothing of all keys, and their sums merge as sums.
// CHECK-LABEL: cascade sigmoid in @sigmoid
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 1, e 1, f 1{{$}}
// CHECK-NEXT:     over m     K 1, QK 1, A 1, V 1{{$}}
// CHECK:         merge      add: 256 bytes a row
func.func @sigmoid(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<128x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) {
    %QK = cascade.einsum [p, m, e] (%Q[p, e], %K[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<256x64xf32>) -> tensor<128x256xf32> loc("QK")
    %A = cascade.einsum [p, m] (%QK[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %t = math.tanh %a : f32
      %r = arith.addf %t, %t : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>) -> tensor<128x256xf32> loc("A")
    %AV = cascade.einsum [p, f, m] (%A[p, m], %V[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<256x64xf32>) -> tensor<128x64xf32> loc("AV")
    cascade.yield %AV : tensor<128x64xf32>
  } : tensor<128x64xf32> loc("sigmoid")
  return %y : tensor<128x64xf32>
}

// Sums over the queries of what they attend to, kept to forget keys by.
// CHECK-LABEL: cascade H2O in @H2O
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 3, e 1, f 1{{$}}
// CHECK-NEXT:     over p     Q 1, QK 1, GM 1, SN 1, SD 1, A 1{{$}}
func.func @H2O(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> (tensor<128x64xf32>, tensor<256xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) {
    %QK = cascade.einsum [p, m, e] (%Q[p, e], %K[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<256x64xf32>) -> tensor<128x256xf32> loc("QK")
    %GM = cascade.einsum [p, m] (%QK[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("GM")
    %SN = cascade.einsum [p, m] (%QK[p, m], %GM[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("SN")
    %SD = cascade.einsum [p, m] (%SN[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<128xf32> loc("SD")
    %A = cascade.einsum [p, m] (%SN[p, m], %SD[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("A")
    %AV = cascade.einsum [p, f, m] (%A[p, m], %V[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<256x64xf32>) -> tensor<128x64xf32> loc("AV")
    %H = cascade.einsum [m, p] (%A[p, m]) reduce(add) -> [m] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<256xf32> loc("H")
    cascade.yield %AV, %H : tensor<128x64xf32>, tensor<256xf32>
  } : tensor<128x64xf32>, tensor<256xf32> loc("H2O")
  return %y#0, %y#1 : tensor<128x64xf32>, tensor<256xf32>
}

// Linear attention: keys and values are summed before any query is seen.
// CHECK-LABEL: cascade linear in @linear
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 1, e 1, f 1{{$}}
// CHECK-NEXT:     over m     K 1, V 1{{$}}
func.func @linear(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<128x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) {
    %KV = cascade.einsum [e, f, m] (%K[m, e], %V[m, f]) reduce(add) -> [e, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<256x64xf32>, tensor<256x64xf32>) -> tensor<64x64xf32> loc("KV")
    %KS = cascade.einsum [e, m] (%K[m, e]) reduce(add) -> [e] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<256x64xf32>) -> tensor<64xf32> loc("KS")
    %NUM = cascade.einsum [p, f, e] (%Q[p, e], %KV[e, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<64x64xf32>) -> tensor<128x64xf32> loc("NUM")
    %DEN = cascade.einsum [p, e] (%Q[p, e], %KS[e]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<64xf32>) -> tensor<128xf32> loc("DEN")
    %O = cascade.einsum [p, f] (%NUM[p, f], %DEN[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<128xf32>) -> tensor<128x64xf32> loc("O")
    cascade.yield %O : tensor<128x64xf32>
  } : tensor<128x64xf32> loc("linear")
  return %y : tensor<128x64xf32>
}

// RMS norm and a product: the norm must be known before the product begins.
// CHECK-LABEL: cascade rmsnorm in @rmsnorm
// CHECK-NEXT:     ranks      t = ?, k = 512, o = 64{{$}}
// CHECK-NEXT:     passes     t 1, k 2, o 1{{$}}
// CHECK-NEXT:     over k     X 2, G 1, N 1, W 1{{$}}
func.func @rmsnorm(%X: tensor<?x512xf32> {lutra.name = "X"}, %G: tensor<512xf32> {lutra.name = "G"}, %W: tensor<512x64xf32> {lutra.name = "W"}, %n: index) -> tensor<?x64xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512, o = 64) {
    %SS = cascade.einsum [t, k] (%X[t, k]) reduce(add) -> [t] {
    ^bb0(%a: f32):
      %r = arith.mulf %a, %a : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("SS")
    %R = cascade.einsum [t] (%SS[t]) -> [t] {
    ^bb0(%a: f32):
      %c = arith.constant 1.0e-5 : f32
      %t = arith.addf %a, %c : f32
      %r = math.rsqrt %t : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32> loc("R")
    %N = cascade.einsum [t, k] (%X[t, k], %R[t], %G[k]) -> [t, k] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %u = arith.mulf %a, %b : f32
      %r = arith.mulf %u, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>, tensor<512xf32>) -> tensor<?x512xf32> loc("N")
    %Y = cascade.einsum [t, o, k] (%N[t, k], %W[k, o]) reduce(add) -> [t, o] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<512x64xf32>) -> tensor<?x64xf32> loc("Y")
    cascade.yield %Y : tensor<?x64xf32>
  } : tensor<?x64xf32> loc("rmsnorm")
  return %y : tensor<?x64xf32>
}

// The same with the norm behind the product.
// CHECK-LABEL: cascade rmsnorm_hoisted in @rmsnorm_hoisted
// CHECK-NEXT:     ranks      t = ?, k = 512, o = 64{{$}}
// CHECK-NEXT:     passes     t 1, k 2 -> 1, o 1{{$}}
// CHECK-NEXT:     over k     X 1, G 1, N 1, W 1{{$}}
func.func @rmsnorm_hoisted(%X: tensor<?x512xf32> {lutra.name = "X"}, %G: tensor<512xf32> {lutra.name = "G"}, %W: tensor<512x64xf32> {lutra.name = "W"}, %n: index) -> tensor<?x64xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512, o = 64) attributes {passes = {k = 2 : i64}} {
    %SS = cascade.einsum [t, k] (%X[t, k]) reduce(add) -> [t] {
    ^bb0(%a: f32):
      %r = arith.mulf %a, %a : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("SS")
    %R = cascade.einsum [t] (%SS[t]) -> [t] {
    ^bb0(%a: f32):
      %c = arith.constant 1.0e-5 : f32
      %t = arith.addf %a, %c : f32
      %r = math.rsqrt %t : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32> loc("R")
    %N = cascade.einsum [t, k] (%X[t, k], %G[k]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<512xf32>) -> tensor<?x512xf32> loc("N")
    %Y1 = cascade.einsum [t, o, k] (%N[t, k], %W[k, o]) reduce(add) -> [t, o] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<512x64xf32>) -> tensor<?x64xf32> loc("Y1")
    %Y = cascade.einsum [t, o] (%Y1[t, o], %R[t]) -> [t, o] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x64xf32>, tensor<?xf32>) -> tensor<?x64xf32> loc("Y")
    cascade.yield %Y : tensor<?x64xf32>
  } : tensor<?x64xf32> loc("rmsnorm_hoisted")
  return %y : tensor<?x64xf32>
}

// What is rounded by a scale of all cannot be rounded before.
// CHECK-LABEL: cascade quantized in @quantized
// CHECK-NEXT:     ranks      t = ?, k = 512, o = 64{{$}}
// CHECK-NEXT:     passes     t 1, k 2, o 1{{$}}
// CHECK-NEXT:     over k     X 2, XQ 1, W 1{{$}}
// CHECK-NEXT:     refusal    XQ: round(X / AM) needs all of k{{$}}
func.func @quantized(%X: tensor<?x512xf32> {lutra.name = "X"}, %W: tensor<512x64xf32> {lutra.name = "W"}, %n: index) -> tensor<?x64xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512, o = 64) attributes {refusals = ["XQ: round(X / AM) needs all of k"]} {
    %AM = cascade.einsum [t, k] (%X[t, k]) reduce(max) -> [t] {
    ^bb0(%a: f32):
      %r = math.absf %a : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("AM")
    %XQ = cascade.einsum [t, k] (%X[t, k], %AM[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %u = arith.divf %a, %b : f32
      %r = math.roundeven %u : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>) -> tensor<?x512xf32> loc("XQ")
    %Y = cascade.einsum [t, o, k] (%XQ[t, k], %W[k, o]) reduce(add) -> [t, o] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<512x64xf32>) -> tensor<?x64xf32> loc("Y")
    cascade.yield %Y : tensor<?x64xf32>
  } : tensor<?x64xf32> loc("quantized")
  return %y : tensor<?x64xf32>
}

// Mean, variance, normalized values.
// CHECK-LABEL: cascade layernorm in @layernorm
// CHECK-NEXT:     ranks      t = ?, k = 512{{$}}
// CHECK-NEXT:     passes     t 1, k 3{{$}}
// CHECK-NEXT:     over k     X 3{{$}}
func.func @layernorm(%X: tensor<?x512xf32> {lutra.name = "X"}, %n: index) -> tensor<?x512xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512) {
    %S1 = cascade.einsum [t, k] (%X[t, k]) reduce(add) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("S1")
    %MU = cascade.einsum [t] (%S1[t]) -> [t] {
    ^bb0(%a: f32):
      %c = arith.constant 512.0 : f32
      %r = arith.divf %a, %c : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32> loc("MU")
    %S2 = cascade.einsum [t, k] (%X[t, k], %MU[t]) reduce(add) -> [t] {
    ^bb0(%a: f32, %b: f32):
      %u = arith.subf %a, %b : f32
      %r = arith.mulf %u, %u : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>) -> tensor<?xf32> loc("S2")
    %R = cascade.einsum [t] (%S2[t]) -> [t] {
    ^bb0(%a: f32):
      %c = arith.constant 1.0e-5 : f32
      %t = arith.addf %a, %c : f32
      %r = math.rsqrt %t : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>) -> tensor<?xf32> loc("R")
    %Y = cascade.einsum [t, k] (%X[t, k], %MU[t], %R[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %u = arith.subf %a, %b : f32
      %r = arith.mulf %u, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>, tensor<?xf32>) -> tensor<?x512xf32> loc("Y")
    cascade.yield %Y : tensor<?x512xf32>
  } : tensor<?x512xf32> loc("layernorm")
  return %y : tensor<?x512xf32>
}

// Maximum, sum, quotients.
// CHECK-LABEL: cascade softmax in @softmax
// CHECK-NEXT:     ranks      t = ?, k = 512{{$}}
// CHECK-NEXT:     passes     t 1, k 3{{$}}
// CHECK-NEXT:     over k     X 2 (3 if recomputed), E 2 kept{{$}}
func.func @softmax(%X: tensor<?x512xf32> {lutra.name = "X"}, %n: index) -> tensor<?x512xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512) {
    %D = cascade.einsum [t, k] (%X[t, k]) reduce(max) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("D")
    %E = cascade.einsum [t, k] (%X[t, k], %D[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>) -> tensor<?x512xf32> loc("E")
    %S = cascade.einsum [t, k] (%E[t, k]) reduce(add) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("S")
    %Y = cascade.einsum [t, k] (%E[t, k], %S[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>) -> tensor<?x512xf32> loc("Y")
    cascade.yield %Y : tensor<?x512xf32>
  } : tensor<?x512xf32> loc("softmax")
  return %y : tensor<?x512xf32>
}

// Maximum, sum.
// CHECK-LABEL: cascade logsumexp in @logsumexp
// CHECK-NEXT:     ranks      t = ?, k = 512{{$}}
// CHECK-NEXT:     passes     t 1, k 2{{$}}
// CHECK-NEXT:     over k     X 2{{$}}
// CHECK-NEXT:     tile       t 64, k 128{{$}}
// CHECK:         traffic    4096*t bytes
func.func @logsumexp(%X: tensor<?x512xf32> {lutra.name = "X"}, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512) {
    %D = cascade.einsum [t, k] (%X[t, k]) reduce(max) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("D")
    %S = cascade.einsum [t, k] (%X[t, k], %D[t]) reduce(add) -> [t] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<?x512xf32>, tensor<?xf32>) -> tensor<?xf32> loc("S")
    %Y = cascade.einsum [t] (%D[t], %S[t]) -> [t] {
    ^bb0(%a: f32, %b: f32):
      %u = math.log %b : f32
      %r = arith.addf %a, %u : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("Y")
    cascade.yield %Y : tensor<?xf32>
  } : tensor<?xf32> loc("logsumexp")
  return %y : tensor<?xf32>
}

// What needs the sums of an iteration, and goes over its rank, is a pass behind it.
// CHECK-LABEL: cascade H2O_iterated in @H2O_iterated
// CHECK-NEXT:     ranks      p = 128, m = 256, e = 64, f = 64{{$}}
// CHECK-NEXT:     passes     p 1, m 3 -> 2, e 1, f 0{{$}}
// CHECK-NEXT:     over p     Q 1, QK 1, RM 1, RD 1, LM 1, RM.correction 1, SLN 1, SPD 1, A 1{{$}}
// CHECK-NEXT:     over m     K 1 (2 if recomputed), QK 2 kept, SLN 1, A 1{{$}}
// CHECK:         merge      max exp lazy: 8 bytes a row
func.func @H2O_iterated(%Q: tensor<128x64xf32> {lutra.name = "Q"}, %K: tensor<256x64xf32> {lutra.name = "K"}, %V: tensor<256x64xf32> {lutra.name = "V"}) -> tensor<256xf32> {
  %y = cascade.cascade reassoc ranks(p = 128, m = 256, e = 64, f = 64) attributes {passes = {m = 3 : i64}} {
    %QK = cascade.einsum [p, m, e] (%Q[p, e], %K[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<128x64xf32>, tensor<256x64xf32>) -> tensor<128x256xf32> loc("QK")
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<128xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<128xf32>
    %it:2 = cascade.iterate "m" (%q = %QK[1]) carry(%d = %d0, %s = %s0) : (tensor<128x256xf32>), (tensor<128xf32>, tensor<128xf32>) {
      %LM = cascade.einsum [p, m] (%q[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<128x?xf32>) -> tensor<128xf32> loc("LM")
      %d1, %c = cascade.rebase %d, %LM exp max policy<lazy, 8.0 : f32> : tensor<128xf32> loc("RM")
      %SLN = cascade.einsum [p, m] (%q[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %r = math.exp %t : f32
        cascade.yield %r : f32
      } : (tensor<128x?xf32>, tensor<128xf32>) -> tensor<128x?xf32> loc("SLN")
      %SPD = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<128xf32>, tensor<128xf32>) -> tensor<128xf32> loc("SPD")
      %RD = cascade.einsum [p, m] (%SLN[p, m]) reduce(add) init(%SPD) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<128x?xf32>) -> tensor<128xf32> loc("RD")
      cascade.yield %d1, %RD : tensor<128xf32>, tensor<128xf32>
    }
    %A = cascade.einsum [p, m] (%QK[p, m], %it#0[p], %it#1[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %t = arith.subf %a, %b : f32
      %u = math.exp %t : f32
      %r = arith.divf %u, %c : f32
      cascade.yield %r : f32
    } : (tensor<128x256xf32>, tensor<128xf32>, tensor<128xf32>) -> tensor<128x256xf32> loc("A")
    %H = cascade.einsum [m, p] (%A[p, m]) reduce(add) -> [m] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<128x256xf32>) -> tensor<256xf32> loc("H")
    cascade.yield %H : tensor<256xf32>
  } : tensor<256xf32> loc("H2O_iterated")
  return %y : tensor<256xf32>
}

// A delay or a repetition needs no other pass, what lies behind does.
// CHECK-LABEL: cascade indices in @indices
// CHECK-NEXT:     ranks      k = 64{{$}}
// CHECK-NEXT:     passes     k 3{{$}}
func.func @indices(%X: tensor<64xf32> {lutra.name = "X"}) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>) {
  %y:3 = cascade.cascade reassoc ranks(k = 64) {
    %S = cascade.einsum [k] (%X[k]) reduce(add) -> [] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<64xf32>) -> tensor<f32> loc("S")
    %E = cascade.einsum [k] (%X[k], %S[]) -> [k] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<64xf32>, tensor<f32>) -> tensor<64xf32> loc("E")
    %Y = cascade.einsum [k] (%E[k floordiv 2]) -> [k] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<64xf32>) -> tensor<64xf32> loc("Y")
    %Z = cascade.einsum [k] (%Y[k mod 8]) -> [k] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<64xf32>) -> tensor<64xf32> loc("Z")
    %W = cascade.einsum [k] (%E[63 - k]) -> [k] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<64xf32>) -> tensor<64xf32> loc("W")
    cascade.yield %Y, %Z, %W : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>
  } : tensor<64xf32>, tensor<64xf32>, tensor<64xf32> loc("indices")
  return %y#0, %y#1, %y#2 : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>
}

// What a sum starts from may come late.
// CHECK-LABEL: cascade sink in @sink
// CHECK-NEXT:     ranks      t = ?, k = 512{{$}}
// CHECK-NEXT:     passes     t 1, k 1{{$}}
// CHECK-NEXT:     over k     X 1{{$}}
func.func @sink(%X: tensor<?x512xf32> {lutra.name = "X"}, %B: tensor<?xf32> {lutra.name = "B"}, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(t = %n, k = 512) {
    %M = cascade.einsum [t, k] (%X[t, k]) reduce(max) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("M")
    %I = cascade.einsum [t] (%M[t], %B[t]) -> [t] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32> loc("I")
    %S = cascade.einsum [t, k] (%X[t, k]) reduce(add) init(%I) -> [t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x512xf32>) -> tensor<?xf32> loc("S")
    cascade.yield %S : tensor<?xf32>
  } : tensor<?xf32> loc("sink")
  return %y : tensor<?xf32>
}

// Merging is one pass over what was computed apart.
// CHECK-LABEL: cascade merged in @merged
// CHECK-NEXT:     ranks      s = 3, t = 4, k = 512{{$}}
// CHECK-NEXT:     passes     s 1, t 1, k 2{{$}}
func.func @merged(%X: tensor<3x4x512xf32> {lutra.name = "X"}) -> tensor<4xf32> {
  %y = cascade.cascade reassoc ranks(s = 3, t = 4, k = 512) {
    %L = cascade.einsum [s, t, k] (%X[s, t, k]) reduce(max) -> [s, t] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<3x4x512xf32>) -> tensor<3x4xf32> loc("L")
    %P = cascade.einsum [s, t, k] (%X[s, t, k], %L[s, t]) reduce(add) -> [s, t] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.subf %a, %b : f32
      %r = math.exp %t : f32
      cascade.yield %r : f32
    } : (tensor<3x4x512xf32>, tensor<3x4xf32>) -> tensor<3x4xf32> loc("P")
    %M:2 = cascade.merge %L : tensor<3x4xf32> sums(%P) exp max : (tensor<3x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) loc("M")
    %D = cascade.einsum [t] (%M#0[t], %M#1[t]) -> [t] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> loc("D")
    cascade.yield %D : tensor<4xf32>
  } : tensor<4xf32> loc("merged")
  return %y : tensor<4xf32>
}
