// Conversions and roundings of x [n, a multiple of 4], one row of y for each: f16
// and bf16 from f32, f32 from the low 16 bits as f16 and as bf16, f16 from f64,
// floor, ceil, trunc, round, roundeven.
module {
  func.func private @convert(%ctx: !llvm.ptr, %n: index, %x: memref<?xf64>, %y: memref<10x?xi32>) attributes {lutra.kernel} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c4 = arith.constant 4 : index
    %c5 = arith.constant 5 : index
    %c6 = arith.constant 6 : index
    %c7 = arith.constant 7 : index
    %c8 = arith.constant 8 : index
    %c9 = arith.constant 9 : index
    scf.forall (%i) = (0) to (%n) step (4) {
      %d = vector.load %x[%i] : memref<?xf64>, vector<4xf64>
      %s = arith.truncf %d : vector<4xf64> to vector<4xf32>
      %dbits = arith.bitcast %d : vector<4xf64> to vector<4xi64>
      %low = arith.trunci %dbits : vector<4xi64> to vector<4xi16>
      %h = arith.truncf %s : vector<4xf32> to vector<4xf16>
      %hi = arith.bitcast %h : vector<4xf16> to vector<4xi16>
      %r0 = arith.extui %hi : vector<4xi16> to vector<4xi32>
      %b = arith.truncf %s : vector<4xf32> to vector<4xbf16>
      %bi = arith.bitcast %b : vector<4xbf16> to vector<4xi16>
      %r1 = arith.extui %bi : vector<4xi16> to vector<4xi32>
      %lowh = arith.bitcast %low : vector<4xi16> to vector<4xf16>
      %exth = arith.extf %lowh : vector<4xf16> to vector<4xf32>
      %r2 = arith.bitcast %exth : vector<4xf32> to vector<4xi32>
      %lowb = arith.bitcast %low : vector<4xi16> to vector<4xbf16>
      %extb = arith.extf %lowb : vector<4xbf16> to vector<4xf32>
      %r3 = arith.bitcast %extb : vector<4xf32> to vector<4xi32>
      %dh = arith.truncf %d : vector<4xf64> to vector<4xf16>
      %dhi = arith.bitcast %dh : vector<4xf16> to vector<4xi16>
      %r4 = arith.extui %dhi : vector<4xi16> to vector<4xi32>
      %f0 = math.floor %s : vector<4xf32>
      %r5 = arith.bitcast %f0 : vector<4xf32> to vector<4xi32>
      %f1 = math.ceil %s : vector<4xf32>
      %r6 = arith.bitcast %f1 : vector<4xf32> to vector<4xi32>
      %f2 = math.trunc %s : vector<4xf32>
      %r7 = arith.bitcast %f2 : vector<4xf32> to vector<4xi32>
      %f3 = math.round %s : vector<4xf32>
      %r8 = arith.bitcast %f3 : vector<4xf32> to vector<4xi32>
      %f4 = math.roundeven %s : vector<4xf32>
      %r9 = arith.bitcast %f4 : vector<4xf32> to vector<4xi32>
      vector.store %r0, %y[%c0, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r1, %y[%c1, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r2, %y[%c2, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r3, %y[%c3, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r4, %y[%c4, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r5, %y[%c5, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r6, %y[%c6, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r7, %y[%c7, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r8, %y[%c8, %i] : memref<10x?xi32>, vector<4xi32>
      vector.store %r9, %y[%c9, %i] : memref<10x?xi32>, vector<4xi32>
    }
    return
  }

  func.func @main(%ctx: !llvm.ptr {lutra.role = "context"},
      %x: memref<?xf64> {lutra.role = "input", lutra.name = "x", lutra.dtype = "DOUBLE", lutra.shape = affine_map<()[s0] -> (s0)>},
      %y: memref<10x?xi32> {lutra.role = "output", lutra.name = "y", lutra.dtype = "INT32", lutra.shape = affine_map<()[s0] -> (10, s0)>},
      %n: index {lutra.role = "dim"})
      attributes {lutra.dims = [{name = "n", min = 0 : i64, max = 16777216 : i64, multiple = 4 : i64}]} {
    func.call @convert(%ctx, %n, %x, %y) {lutra.nodes = "Cast_0"} : (!llvm.ptr, index, memref<?xf64>, memref<10x?xi32>) -> ()
    return
  }

  func.func @plan(%n: index, %workers: index) -> (index, index, index) {
    %c0 = arith.constant 0 : index
    %c10 = arith.constant 10 : index
    return %c0, %c10, %n : index, index, index
  }
}
