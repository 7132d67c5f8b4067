// What is refused of the attributes that carry a model's interface.
// RUN: lutra-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'builtin.module' op 'lutra.target' expects a target, got 1 : i64}}
module attributes {lutra.target = 1 : i64} {}

// -----

// expected-error @below {{'builtin.module' op 'lutra.image' expects an array, got unit}}
module attributes {lutra.image} {}

// -----

// expected-error @below {{'lutra.image' expects {at, type, weight}, got {at = 0 : i64, type = tensor<4xf32>, weight = {}}}}
module attributes {lutra.image = [{at = 0 : i64, type = tensor<4xf32>, weight = {}}]} {}

// -----

// expected-error @below {{'lutra.image' expects {at, type, weight}}}
module attributes {lutra.image = [{at = 0 : i64, type = tensor<?xf32>, weight = {name = "w"}}]} {}

// -----

// expected-error @below {{expects vectors of 128, 256 or 512 bits, got 0}}
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux", cpu = "x86-64", features = "", vectorBits = 0, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {}

// -----

// expected-error @below {{expects 8 to 32 vector registers, got -1}}
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = -1, l1 = 32768, l2 = 524288>} {}

// -----

// expected-error @below {{expects caches of 1024 to 1073741824 bytes, got 32768 and 0}}
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 0>} {}

// -----

// expected-error @below {{'func.func' op 'lutra.dims' expects an array, got 1 : i64}}
func.func private @dims() attributes {lutra.dims = 1 : i64}

// -----

// expected-error @below {{'lutra.dims' expects {name, min, max, multiple}, got {max = 8 : i64, min = 1 : i64, name = "n"}}}
func.func private @dims_entry() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64}]}

// -----

// expected-error @below {{'lutra.dims' expects {name, min, max, multiple}}}
func.func private @dims_type() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : ui64, multiple = 1 : i64}]}

// -----

// expected-error @below {{'lutra.dims' expects 0 <= min <= max and a positive multiple}}
func.func private @dims_multiple() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 0 : i64}]}

// -----

// expected-error @below {{'lutra.dims' expects dimension "n" once}}
func.func private @dims_twice() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}, {name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]}

// -----

// expected-error @below {{'lutra.dims' expects 1 sizes over 1 symbols, got affine_map<()[s0] -> (s0, s0)>}}
func.func private @dims_equals() attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 8 : i64, multiple = 1 : i64, equals = affine_map<()[s0] -> (s0, s0)>}]}

// -----

// expected-error @below {{'lutra.length' expects 1 sizes over 0 symbols, got affine_map<()[s0] -> (s0)>}}
func.func private @length() attributes {lutra.length = affine_map<()[s0] -> (s0)>}

// -----

// expected-error @below {{'lutra.rows' expects numbers of loops, got 1 : i64}}
func.func private @rows() attributes {lutra.rows = 1 : i64}

// -----

// expected-error @below {{'lutra.schedule' expects a schedule, got unit}}
func.func private @schedule() attributes {lutra.schedule}

// -----

// expected-error @below {{expects tiles of at least 0}}
func.func private @schedule_tile() attributes {lutra.schedule = #lutra.schedule<distribute = [-4], tile = [], order = [], vector = 8>}

// -----

// expected-error @below {{expects vectors of 1 to 64 elements, got 0}}
func.func private @schedule_vector() attributes {lutra.schedule = #lutra.schedule<distribute = [4], tile = [], order = [], vector = 0>}

// -----

// expected-error @below {{expects an order of the 2 loops that have tiles, got loop 2}}
func.func private @schedule_order() attributes {lutra.schedule = #lutra.schedule<distribute = [4], tile = [4, 4], order = [0, 2], vector = 8>}

// -----

// expected-error @below {{expects an order of the 2 loops that have tiles, got loop 0}}
func.func private @schedule_twice() attributes {lutra.schedule = #lutra.schedule<distribute = [4], tile = [4, 4], order = [0, 0], vector = 8>}

// -----

func.func @stream(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{'linalg.copy' op 'lutra.stream' expects the number of an operand, got 2 : i64}}
  %0 = linalg.copy {lutra.stream = 2 : i64} ins(%x : tensor<4xf32>) outs(%y : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error @below {{'func.func' op argument 0: 'lutra.name' expects a string, got 1 : i64}}
func.func private @name(tensor<4xf32> {lutra.name = 1 : i64})

// -----

// expected-error @below {{'func.func' op argument 0: 'lutra.shape' expects 1 sizes over 0 symbols, got affine_map<()[s0] -> (s0)>}}
func.func private @shape_symbols(tensor<?xf32> {lutra.shape = affine_map<()[s0] -> (s0)>})

// -----

// expected-error @below {{'func.func' op result 0: 'lutra.shape' expects 2 sizes over 0 symbols, got affine_map<() -> (4)>}}
func.func private @shape_rank() -> (tensor<4x4xf32> {lutra.shape = affine_map<() -> (4)>})

// -----

// expected-error @below {{'lutra.shape' expects 1 sizes over 0 symbols, got affine_map<(d0) -> (d0)>}}
func.func private @shape_dims(tensor<?xf32> {lutra.shape = affine_map<(d0) -> (d0)>})

// -----

// expected-error @below {{'lutra.shape' expects sizes as in 'tensor<4xf32>', got affine_map<() -> (8)>}}
func.func private @shape_sizes(tensor<4xf32> {lutra.shape = affine_map<() -> (8)>})

// -----

// expected-error @below {{'lutra.shape' expects a ranked tensor, got 'tensor<*xf32>'}}
func.func private @shape_unranked(tensor<*xf32> {lutra.shape = affine_map<() -> (4)>})

// -----

// expected-error @below {{argument 0: 'lutra.state' expects {present, axis, capacity} of a tensor}}
func.func private @past(tensor<4xf32> {lutra.state = {present = "y", axis = 1 : i64, capacity = 8 : i64}})

// -----

// expected-error @below {{argument 0: 'lutra.state' expects {present, axis, capacity} of a tensor}}
func.func private @past_string(tensor<4xf32> {lutra.state = "past"})

// -----

// expected-error @below {{result 0: 'lutra.state' expects the name of a state, got unit}}
func.func private @state() -> (tensor<4xf32> {lutra.state})

// -----

// expected-error @below {{'func.func' op 'lutra.kernel' expects last arguments of the types of its 1 results, got '() -> tensor<4xf32>'}}
func.func private @kernel() -> tensor<4xf32> attributes {lutra.kernel} {
  %0 = tensor.empty() : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error @below {{'func.func' op 'lutra.kernel' expects last arguments of the types of its 1 results, got '(tensor<4xf32>, index) -> tensor<4xf32>'}}
func.func private @kernel_last(tensor<4xf32>, index) -> tensor<4xf32> attributes {lutra.kernel}

// -----

// expected-error @below {{'func.func' op 'lutra.kernel' expects results that are ranked tensors, got 'index'}}
func.func private @kernel_scalar(index) -> index attributes {lutra.kernel}

// -----

// expected-error @below {{'func.func' op requires attribute 'function_type'}}
"func.func"() ({}) {lutra.kernel, sym_name = "no_type"} : () -> ()
