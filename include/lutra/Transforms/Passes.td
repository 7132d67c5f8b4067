//===- Passes.td - Transformations of a module -*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_PASSES_TD
#define LUTRA_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def VerifyPhase : Pass<"verify-phase", "::mlir::ModuleOp"> {
  let summary = "refuses every op that a phase's contract does not allow after it";
  let options = [Option<"phase", "phase", "std::string", "", "the phase that has just ended">];
}

def VerifyDump : Pass<"verify-dump", "::mlir::ModuleOp"> {
  let summary = "refuses what no phase leaves and passes do not expect";
  let description = [{
    There must be one host program; its arguments, results, dimensions and states
    must have the attributes that passes before `plan` take them from. No affine
    map may divide by zero, and no operation of LLVM's have a type that is not.
  }];
  let options = [Option<"phase", "phase", "std::string", "", "the phase that has just ended">];
}

def MaterializeState : Pass<"materialize-state", "::mlir::func::FuncOp"> {
  let summary = "makes the concatenation of a state and new values an insertion into a lutra.state";
  let description = [{
    An argument with `lutra.state` and the result that is this argument with more
    appended both go: the program inserts what is new behind the length of a
    `lutra.state`, reads what it would have concatenated as a slice of it, and
    returns it as the state's new value.
  }];
  let dependentDialects = ["::mlir::lutra::LutraDialect", "::mlir::tensor::TensorDialect"];
}

def EncodeStates : Pass<"encode-states", "::mlir::func::FuncOp"> {
  let summary = "gives each state the layout that the contractions which read it want";
  let description = [{
    Where the length of a state becomes the vectorized loop of every contraction
    that reads it, as in products of queries and keys, it is moved innermost: the
    transposition is of what is appended, and no longer of all that is there.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def OverrideActivations : Pass<"override-activations", "::mlir::func::FuncOp"> {
  let summary = "rounds activations of products with codes to 8-bit integers, or does not";
  let description = [{
    The first rule that matches the name of a product's node or weight says what its x is:
    floats get an `mpgemm.quantize_act` (a8), or lose it (a32). Integers that come from
    anything else stay, and a warning says where codes cannot be multiplied with integers.
  }];
  let options = [Option<"spec", "spec", "std::string", "", "the rules, as --activations has them">];
  let dependentDialects = ["::mlir::lutra::mpgemm::MPGemmDialect"];
}

def QuantizeContractions : Pass<"quantize-contractions", "::mlir::ModuleOp"> {
  let summary = "quantizes the weights of products";
  let description = [{
    A contraction of floats with a `lutra.weight` becomes `mpgemm.matmul`, whose
    codes, scales and zero points are made from the weight when the image is written.
    Rows of the weight are what is summed over, and a last group that is not full is
    padded. Of a convolution, what each window sees is copied to be a row of x. What
    else reads the weight goes on to do so. Products of few weights stay, and so do
    batches of matrices, convolutions of groups, and what no rule is for.
  }];
  let options = [Option<"spec", "spec", "std::string", "", "the rules, as --quantize has them">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::lutra::LutraDialect",
                           "::mlir::lutra::mpgemm::MPGemmDialect", "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ObserveContractions : Pass<"observe-contractions", "::mlir::ModuleOp"> {
  let summary = "makes statistics of what products read the model's outputs";
  let description = [{
    Of the left factors x of products that `quantize-contractions` would rewrite, the
    results become for each input channel the sum of squares and the largest magnitude
    over all rows, and the number of these: "squares0", "largest0", "rows0" and so on.
    Where the rules ask for static scales, these are followed by the least and the
    greatest input, and by the sums of squares of what magnitudes exceed some limits by:
    "least0", "greatest0", "excess0".
    With `matrices` they are the sums of products of any two channels, "moments0", of the
    factors of these numbers alone.
    Products that read the same share a factor. States are still returned, and all other
    results are not.
  }];
  let options = [Option<"spec", "spec", "std::string", "", "the rules, as --quantize has them">,
                 ListOption<"chosen", "matrices", "int64_t", "the factors whose moments are returned">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::lutra::LutraDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def FoldMovement : Pass<"fold-movement", "::mlir::func::FuncOp"> {
  let summary = "lets contractions read and write where elements lie, instead of copies of them";
  let description = [{
    What is repeated, and slices of states, are read where they are: repetition,
    transposition and reshaping on the way from there to an operand become part of
    its indexing map, a loop over repeated heads is split in two, and a factor of
    all elements goes to the other operand. Of other movement, transpositions that
    keep the innermost dimension are folded, at operands and at the result.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::affine::AffineDialect"];
}

def GatherBeforeMaps : Pass<"gather-before-maps", "::mlir::func::FuncOp"> {
  let summary = "computes elements where a gather reads them, instead of all";
  let description = [{
    The only reader of a map's result is a gather of no more elements than there are:
    then the map becomes part of its body, and reads its operands at the places that
    are chosen. What it reads at the gather's own coordinates becomes an operand.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::lutra::LutraDialect", "::mlir::tensor::TensorDialect"];
}

def ReassociateContractions : Pass<"reassociate-contractions", "::mlir::func::FuncOp"> {
  let summary = "takes sums of products of three factors in the order that is cheapest";
  let description = [{
    A contraction whose factor is the result of another one, in f32 or f64, may be
    taken in another order, such as queries times a weight, times what keys would be
    made of. The cost of an order is its multiply-adds and the bytes between its
    contractions. With symbolic sizes, it must be cheaper where they are greatest,
    and not dearer where they are not.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect"];
}

def CountPasses : Pass<"count-passes", "::mlir::ModuleOp"> {
  let summary = "says how often each cascade goes over its ranks";
  let description = [{
    Leaves everything as it is, and prints a remark for each cascade: passes over
    each rank, reads of each tensor, and the memory that a tile of it takes.
  }];
  let options = [Option<"rows", "rows", "int64_t", "64", "points of a tile along the innermost rank of rows">,
                 Option<"stream", "stream", "int64_t", "128", "points of a tile along the rank that is gone over">];
}

def RaiseCascades : Pass<"raise-cascades", "::mlir::func::FuncOp"> {
  let summary = "makes reductions that depend on each other, and what is between them, cascades";
  let description = [{
    A group has at least two reductions along one rank, of which one needs what the
    other found; all of it has the same rows. Elementwise operations and single
    contractions stay where they are. What a group has along the reduced rank is
    computed again for others that sum it along the rows, where that is cheaper.
  }];
  let dependentDialects = ["::mlir::lutra::cascade::CascadeDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::arith::ArithDialect"];
}

def BoundIterations : Pass<"bound-iterations", "::mlir::func::FuncOp"> {
  let summary = "finds the parts of iterated ranks that masks leave nothing of";
  let description = [{
    Conditions over coordinates that select -inf become the filters of an
    iteration, where what is carried does not change outside of them. The least
    finite number is as good as -inf in rows that have another; others are filters
    as a whole. Points inside are masked as before.
  }];
}

def SplitIterations : Pass<"split-iterations", "::mlir::func::FuncOp"> {
  let summary = "goes over parts of an iterated rank apart, where there are few rows, and merges their states";
  let description = [{
    A cascade whose rows are less than `tasks` tasks, and that iterates over at least
    two parts of `length` coordinates, becomes two: one whose states have a rank that
    counts the parts, and one that merges them. What cannot be merged stays whole.
  }];
  let options = [
    Option<"length", "length", "int64_t", "512", "coordinates of a part">,
    Option<"tasks", "tasks", "int64_t", "16", "tasks that rows have to be, not to be split">,
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect"];
}

def SimplifyCascades : Pass<"simplify-cascades", "::mlir::func::FuncOp"> {
  let summary = "does less for each point of an iteration";
  let description = [{
    In a cascade that may be reassociated: maps of one instruction move into what
    reads them; maps that keep the order of numbers are applied to maxima and not to
    their points; exp(x - d) of sums x of products and a running reference d that
    nothing else reads becomes 2^(x log2(e) - d), the reference scaled likewise.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def LowerResidentCascades : Pass<"lower-resident-cascades", "::mlir::func::FuncOp"> {
  let summary = "writes out cascades whose rows stay in a cache between their passes";
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::scf::SCFDialect", "::mlir::math::MathDialect",
                           "::mlir::affine::AffineDialect"];
}

def EncodeCascades : Pass<"encode-cascades", "::mlir::func::FuncOp"> {
  let summary = "gives what cascades compute for themselves a layout";
  let description = [{
    The innermost rank of the rows becomes the innermost dimension of intermediate
    results, states, and copies of what is read from outside and has it elsewhere: of
    what all parts of the iterated rank read before them, of a stream part by part.
    Where the extent of that rank is not known, there is a second version for a single
    row.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect"];
}

def TransposeStreams : Pass<"transpose-streams", "::mlir::func::FuncOp"> {
  let summary = "lays streams that are summed along the iterated rank along it, where matrix tiles multiply them";
  let description = [{
    Of bf16, for the module's `lutra.target`, where enough rows read the copy. Rows of the
    copy that would share few sets of a cache are a line longer than what is in them.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def PackDotOperands : Pass<"pack-dot-operands", "::mlir::func::FuncOp"> {
  let summary = "puts the factors of dot products into the groups that instructions multiply";
  let description = [{
    Splits the reduction of a kernel's contraction into groups where the target has an
    instruction that multiplies groups of the factors' type and adds them to the sums:
    pairs of bf16 for AVX512-BF16. A factor whose groups are not side by side is copied;
    columns of what has `lutra.panels` are in any case, in panels of register tiles.
    Instructions of that kind flush subnormal numbers.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::affine::AffineDialect"];
}

def FuseReductions : Pass<"fuse-reductions", "::mlir::func::FuncOp"> {
  let summary = "computes what is reduced and read again where it is reduced";
  let description = [{
    In kernels: where a reduction and one map read what a map computes, all three
    become the reduction, which stores what the second map makes of each element.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect"];
}

def EncodeMPGemm : Pass<"encode-mpgemm", "::mlir::ModuleOp"> {
  let summary = "gives the codes, scales and zero points of products with weights the layout that kernels read";
  let description = [{
    For the module's `lutra.target`. Products whose codes, scales or zero points are
    computed stay as they are. Codes of 1, 2 or 4 bits are looked up in tables of x
    where that is faster than multiplying them.
  }];
  let options = [Option<"lookups", "lookups", "std::string", "\"auto\"",
                        "look sums up where that is faster (auto), wherever the machine can (always), or never">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::lutra::lut::LutDialect",
                           "::mlir::tensor::TensorDialect"];
}

def EncodeContractions : Pass<"encode-contractions", "::mlir::ModuleOp"> {
  let summary = "gives the operands of contractions the layout that register tiles read";
  let description = [{
    An operand that a register tile reads along dimension d is split into tiles of d
    which lie one after the other, position in the tile innermost. Its indexing
    map says so: `(m, n, k) -> (n floordiv 32, k, n mod 32)`. A weight is packed in
    its expression, anything else by a copy. Positions beyond the last are
    zero in a weight and unspecified in a copy; nothing that is stored depends on
    them.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::lutra::LutraDialect", "::mlir::affine::AffineDialect"];
}

def ExternalizeConstants : Pass<"externalize-constants", "::mlir::func::FuncOp"> {
  let summary = "makes constant tensors weights, and splats scalars, so that equal kernels merge";
  let dependentDialects = ["::mlir::lutra::LutraDialect", "::mlir::linalg::LinalgDialect"];
}

def SinkTransposes : Pass<"sink-transposes", "::mlir::func::FuncOp"> {
  let summary = "keeps channels last between convolutions that are products";
  let description = [{
    The transposition of such a product moves behind elementwise operations, paddings
    and windows, until another undoes it, or a reader needs it.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def FuseElementwise : Pass<"fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "fuses elementwise operations into each other and into the reductions that read them";
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::affine::AffineDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ShareConcatenations : Pass<"share-concatenations", "::mlir::func::FuncOp"> {
  let summary = "copies what another concatenation has joined in place of its parts";
  let description = [{
    ```
    %ab = concat(%a, %b)                      %ab = concat(%a, %b)
    %abc = concat(%a, %b, %c)          ->     %abc = concat(%ab, %c)
    ```
    where a concatenation is a chain of insertions into an empty tensor.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def FormDispatches : Pass<"form-dispatches", "::mlir::ModuleOp"> {
  let summary = "outlines groups of operations as kernels and dispatches them";
  let dependentDialects = ["::mlir::lutra::LutraDialect", "::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def DeduplicateKernels : Pass<"deduplicate-kernels", "::mlir::ModuleOp"> {
  let summary = "leaves one of each set of equal kernels";
  let statistics = [Statistic<"numMerged", "merged", "kernels that equalled another">];
}

def BufferizeKernels : Pass<"bufferize-kernels", "::mlir::ModuleOp"> {
  let summary = "turns the tensors of kernels into buffers, with all scratch on the stack";
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect"];
}

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "gives each tensor of the host program a place in the arena, the outputs or the weight image";
  let description = [{
    Buffers whose lives do not overlap share a slot. The size of a slot is the
    maximum of its buffers' sizes, and offsets are aligned prefix sums, both
    computed at entry from the symbolic dimensions by the same code that `plan`
    answers the runtime with.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect", "::mlir::affine::AffineDialect"];
}

def SplitColumns : Pass<"split-columns", "::mlir::func::FuncOp"> {
  let summary = "computes apart with columns that are joined to a rank and cut off again";
  let description = [{
    Where all that is done with a concatenation of a tensor and of columns, of size 1
    along the joined dimension, are operations on elements that end in reductions
    along that dimension or in the tensor's part, each is done to the tensor and to the
    columns. A reduction takes the columns last.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def ReducePasses : Pass<"reduce-passes", "::mlir::func::FuncOp"> {
  let summary = "lowers the number of passes that cascades make over their ranks, by algebra";
  let description = [{
    In a `cascade.cascade` with `reassoc`, for each rank that is reduced in more
    than one pass: factors that are the same along the rank leave the sums over it, and
    sums of exp(x - d), where d is the maximum of x, are taken under the maximum so
    far and corrected when it grows, in a `cascade.iterate`, or under a number that x is
    proven to be near of. A rewrite after which a
    number could leave the range of its type is not done. Where a result goes along the rank,
    its points wait for the last pass anyway, and no iteration is made.

    `rewrites` and `refusals` on the cascade say in words what was done and what
    was not; `passes` holds the counts before, of ranks with more than one.
  }];
  let options = [
    Option<"partial", "partial", "bool", "false",
           "iterate also where passes are left behind that, such as over a rank of a result">,
    Option<"lazy", "lazy", "double", "0",
           "move sums only to a reference that is above the old one by more than this; 0: always">,
    Option<"fixed", "fixed", "double", "0",
           "sum under a number and no maximum where exponents are proven no farther from it; 0: never">];
  let dependentDialects = ["::mlir::lutra::cascade::CascadeDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

#endif // LUTRA_TRANSFORMS_PASSES_TD
