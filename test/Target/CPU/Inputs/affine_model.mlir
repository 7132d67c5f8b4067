// y = x * w[j] + s, a [batch, 8] model after phase `plan`: one kernel with a
// two-dimensional scf.forall whose rows go through a stack buffer in a nested
// scf.forall, an empty loop, and a weight that is transposed on its way into
// the image.
module attributes {
  lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>,
  lutra.image = [
    {at = 0 : i64, type = tensor<8x1xf32>,
     weight = {name = "w", value = dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]> : tensor<1x8xf32>,
               storage = tensor<1x8xf32>, steps = [#lutra.transpose<[1, 0]>]}},
    {at = 64 : i64, type = tensor<2xf32>,
     weight = {name = "s", value = dense<[16, -1]> : tensor<2xsi8>,
               storage = tensor<2xsi8>, steps = [#lutra.cast<si8 to f32>]}}]
} {
  func.func private @scale(%ctx: !llvm.ptr, %n: index, %x: memref<?x8xf32>, %w: memref<8x1xf32>, %s: memref<2xf32>, %y: memref<?x8xf32>) attributes {lutra.kernel} {
    %c0 = arith.constant 0 : index
    %c4 = arith.constant 4 : index
    %zero = arith.constant 0.0 : f32
    %add = memref.load %s[%c0] : memref<2xf32>
    scf.forall (%i, %j) = (0, 0) to (%n, 8) step (1, 4) {
      %row = memref.alloca() : memref<4xf32>
      scf.forall (%k) in (4) {
        %column = arith.addi %j, %k : index
        %f = memref.load %w[%column, %c0] : memref<8x1xf32>
        memref.store %f, %row[%k] : memref<4xf32>
      }
      %a = vector.transfer_read %x[%i, %j], %zero {in_bounds = [true]} : memref<?x8xf32>, vector<4xf32>
      %b = vector.load %row[%c0] : memref<4xf32>, vector<4xf32>
      %c = vector.broadcast %add : f32 to vector<4xf32>
      %r = vector.fma %a, %b, %c : vector<4xf32>
      vector.store %r, %y[%i, %j] : memref<?x8xf32>, vector<4xf32>
    }
    scf.forall (%i) in (0) {
      memref.store %zero, %y[%i, %c0] : memref<?x8xf32>
    }
    return
  }

  func.func @main(%ctx: !llvm.ptr {lutra.role = "context"},
      %x: memref<?x8xf32> {lutra.role = "input", lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 8)>},
      %y: memref<?x8xf32> {lutra.role = "output", lutra.name = "y", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 8)>},
      %batch: index {lutra.role = "dim"},
      %workspace: memref<?xi8> {lutra.role = "workspace"},
      %weights: memref<?xi8> {lutra.role = "weights"})
      attributes {lutra.dims = [{name = "batch", min = 0 : i64, max = 64 : i64, multiple = 1 : i64}]} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %w = memref.view %weights[%c0][] : memref<?xi8> to memref<8x1xf32>
    %s = memref.view %weights[%c64][] : memref<?xi8> to memref<2xf32>
    %t = memref.view %workspace[%c0][%batch] : memref<?xi8> to memref<?x8xf32>
    func.call @scale(%ctx, %batch, %x, %w, %s, %t) {lutra.nodes = "Mul_0, Add_0"} : (!llvm.ptr, index, memref<?x8xf32>, memref<8x1xf32>, memref<2xf32>, memref<?x8xf32>) -> ()
    func.call @scale(%ctx, %batch, %t, %w, %s, %y) {lutra.nodes = "Mul_1, Add_1"} : (!llvm.ptr, index, memref<?x8xf32>, memref<8x1xf32>, memref<2xf32>, memref<?x8xf32>) -> ()
    return
  }

  func.func @plan(%batch: index, %workers: index) -> (index, index, index) {
    %c32 = arith.constant 32 : index
    %c8 = arith.constant 8 : index
    %bytes = arith.muli %batch, %c32 : index
    return %bytes, %batch, %c8 : index, index, index
  }
}
