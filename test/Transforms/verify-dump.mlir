// What a dump must say of its model before a pass goes on from it.
// RUN: lutra-opt %s --verify-dump=phase=tensor --split-input-file --verify-diagnostics

// All of it.
func.func @main(%x: tensor<?x4xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4)>})
    -> (tensor<?x4xf32> {lutra.name = "y", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4)>}, tensor<8x4xf32> {lutra.state = "s"})
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 8 multiple 1
  %s = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8, 4)>} : tensor<8x4xf32>
  return %x, %s : tensor<?x4xf32>, tensor<8x4xf32>
}

// -----

// expected-error @below {{expected a host program, a function without lutra.kernel}}
module {}

// -----

func.func @main() {
  return
}
// expected-error @below {{'func.func' op expects lutra.kernel, since @main is the host program}}
func.func @other() {
  return
}

// -----

// expected-error @below {{'func.func' op expects a body of one block}}
func.func private @main()

// -----

// expected-error @below {{'func.func' op argument 1: expects 'lutra.dtype'}}
func.func @main(%x: tensor<4xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<() -> (4)>},
                %y: tensor<4xf32> {lutra.name = "y", lutra.shape = affine_map<() -> (4)>}) {
  return
}

// -----

// expected-error @below {{'func.func' op argument 0: expects a ranked tensor, got 'index'}}
func.func @main(%x: index) {
  return
}

// -----

// expected-error @below {{'func.func' op result 0: expects 'lutra.shape'}}
func.func @main(%x: tensor<4xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<() -> (4)>})
    -> (tensor<4xf32> {lutra.name = "y", lutra.dtype = "FLOAT"}) {
  return %x : tensor<4xf32>
}

// -----

func.func @main() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  // expected-error @below {{'lutra.dim' op expects a dimension of lutra.dims}}
  %m = lutra.dim "m" min 1 max 8 multiple 1
  return
}

// -----

func.func @main() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 9 : i64, multiple = 1 : i64}]} {
  // expected-error @below {{'lutra.dim' op expects a dimension of lutra.dims}}
  %n = lutra.dim "n" min 1 max 8 multiple 1
  return
}

// -----

// expected-error @below {{'func.func' op expects the states behind all other results}}
func.func @main() -> (tensor<8xf32> {lutra.state = "s"}, tensor<8xf32> {lutra.name = "y"}) {
  %s = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8)>} : tensor<8xf32>
  return %s, %s : tensor<8xf32>, tensor<8xf32>
}

// -----

// expected-error @below {{'func.func' op result 0: expects a state, got "t"}}
func.func @main() -> (tensor<8xf32> {lutra.state = "t"}) {
  %s = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8)>} : tensor<8xf32>
  return %s : tensor<8xf32>
}

// -----

// expected-error @below {{'func.func' op expects a result for each state}}
func.func @main() {
  %s = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8)>} : tensor<8xf32>
  return
}

// -----

func.func @main() {
  %s = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8)>} : tensor<8xf32>
  // expected-error @below {{'lutra.state' op expects a name of its own}}
  %t = lutra.state "s" axis 0 () {dtype = "FLOAT", shape = affine_map<() -> (8)>} : tensor<8xf32>
  return
}

// -----

func.func @main(%x: tensor<4xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<() -> (4)>}) {
  // expected-error @below {{'lutra.dispatch' op expects a kernel, got @main}}
  %1 = lutra.dispatch @main[]() outs(%x : tensor<4xf32>) : () -> tensor<4xf32>
  return
}

// -----

func.func @main(%i: index) -> index {
  // expected-error @below {{'affine.apply' op expects to divide by positive numbers, got affine_map<(d0) -> (d0 mod 0)>}}
  %0 = affine.apply affine_map<(d0) -> (d0 mod 0)>(%i)
  return %0 : index
}

// -----

func.func @main(%x: tensor<?xf32>, %y: tensor<?xf32>) {
  // expected-error @below {{'linalg.generic' op expects to divide by positive numbers}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0 floordiv 0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%y : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<?xf32>
  return
}

// -----

func.func private @kernel(%x: !llvm.ptr) attributes {lutra.kernel} {
  // expected-error @below {{'llvm.getelementptr' op expects a type of LLVM's as "elem_type", got tensor<4xf32>}}
  %0 = llvm.getelementptr %x[1] : (!llvm.ptr) -> !llvm.ptr, tensor<4xf32>
  return
}

// -----

// expected-error @below {{'func.func' op expects fewer than 2^57 elements, got 'tensor<?x4611686018427387904xf32>'}}
func.func @main(%x: tensor<?x4611686018427387904xf32>) {
  return
}

// -----

func.func @main() {
  // expected-error @below {{'tensor.empty' op expects fewer than 2^57 elements, got 'tensor<0x1073741824x1073741824xf32>'}}
  %0 = tensor.empty() : tensor<0x1073741824x1073741824xf32>
  return
}
