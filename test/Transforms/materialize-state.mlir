// RUN: lutra-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(materialize-state))' | FileCheck %s

#past = affine_map<()[s0, s1, s2] -> (s0, s1, 4)>
#present = affine_map<()[s0, s1, s2] -> (s0, s1 + s2, 4)>

// The state takes the argument's place, what is new goes behind its length, and
// readers of the concatenation read a slice.
// CHECK-DAG: #[[LENGTH:.*]] = affine_map<()[s0, s1, s2] -> (s1 + s2)>
// CHECK-DAG: #[[SHAPE:.*]] = affine_map<()[s0, s1, s2] -> (s0, 32, 4)>
// CHECK-LABEL: func @cache
// CHECK-SAME: (%[[NEW:.*]]: tensor<?x?x4xf32> {lutra.name = "new"}) -> (tensor<?x?x4xf32> {lutra.name = "y"}, tensor<?x32x4xf32> {lutra.state = "past"})
// CHECK-SAME: lutra.length = #[[LENGTH]]
// CHECK: %[[B:.*]] = lutra.dim "b"
// CHECK: %[[P:.*]] = lutra.dim "p"
// CHECK: %[[STATE:.*]] = lutra.state "past" axis 1(%[[B]]) {dtype = "FLOAT", shape = #[[SHAPE]]} : tensor<?x32x4xf32>
// CHECK: %[[FULL:.*]] = tensor.insert_slice %[[NEW]] into %[[STATE]][0, %[[P]], 0]
// CHECK: %[[READ:.*]] = tensor.extract_slice %[[FULL]][0, 0, 0] [%[[B]], %{{.*}}, 4]
// CHECK: math.exp %[[READ]]
// CHECK: return %{{.*}}, %[[FULL]]
func.func @cache(%new: tensor<?x?x4xf32> {lutra.name = "new"},
                 %past: tensor<?x?x4xf32> {lutra.name = "past", lutra.dtype = "FLOAT", lutra.shape = #past,
                                           lutra.state = {present = "present", axis = 1 : i64, capacity = 32 : i64}})
    -> (tensor<?x?x4xf32> {lutra.name = "y"}, tensor<?x?x4xf32> {lutra.name = "present", lutra.shape = #present})
    attributes {lutra.dims = [{name = "b", min = 1 : i64, max = 8 : i64, multiple = 1 : i64},
                              {name = "p", min = 0 : i64, max = 32 : i64, multiple = 1 : i64, state},
                              {name = "s", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %b = lutra.dim "b" min 1 max 8 multiple 1
  %p = lutra.dim "p" min 0 max 32 multiple 1
  %s = lutra.dim "s" min 1 max 8 multiple 1
  %t = affine.apply affine_map<()[s0, s1] -> (s0 + s1)>()[%p, %s]
  %e = tensor.empty(%b, %t) : tensor<?x?x4xf32>
  %0 = tensor.insert_slice %past into %e[0, 0, 0] [%b, %p, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %1 = tensor.insert_slice %new into %0[0, %p, 0] [%b, %s, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %y = math.exp %1 : tensor<?x?x4xf32>
  return %y, %1 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// -----

// What else reads the past reads what was there.
// CHECK-LABEL: func @read
// CHECK: %[[STATE:.*]] = lutra.state "past"
// CHECK: %[[OLD:.*]] = tensor.extract_slice %[[STATE]][0, 0] [%{{.*}}, 4]
// CHECK: math.exp %[[OLD]]
func.func @read(%new: tensor<1x4xf32> {lutra.name = "new"},
                %past: tensor<?x4xf32> {lutra.name = "past", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4)>,
                                        lutra.state = {present = "present", axis = 0 : i64, capacity = 32 : i64}})
    -> (tensor<?x4xf32> {lutra.name = "y"}, tensor<?x4xf32> {lutra.name = "present", lutra.shape = affine_map<()[s0] -> (s0 + 1, 4)>})
    attributes {lutra.dims = [{name = "p", min = 0 : i64, max = 32 : i64, multiple = 1 : i64, state}]} {
  %y = math.exp %past : tensor<?x4xf32>
  %p = lutra.dim "p" min 0 max 32 multiple 1
  %t = affine.apply affine_map<()[s0] -> (s0 + 1)>()[%p]
  %e = tensor.empty(%t) : tensor<?x4xf32>
  %0 = tensor.insert_slice %past into %e[0, 0] [%p, 4] [1, 1] : tensor<?x4xf32> into tensor<?x4xf32>
  %1 = tensor.insert_slice %new into %0[%p, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<?x4xf32>
  return %y, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// Before the past is not behind it.
// expected-error @+1 {{state 'past': expected 'present' to be the concatenation of it and new values along axis 0}}
func.func @before(%new: tensor<1x4xf32> {lutra.name = "new"},
                  %past: tensor<?x4xf32> {lutra.name = "past", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4)>,
                                          lutra.state = {present = "present", axis = 0 : i64, capacity = 32 : i64}})
    -> (tensor<?x4xf32> {lutra.name = "present", lutra.shape = affine_map<()[s0] -> (s0 + 1, 4)>})
    attributes {lutra.dims = [{name = "p", min = 0 : i64, max = 32 : i64, multiple = 1 : i64, state}]} {
  %p = lutra.dim "p" min 0 max 32 multiple 1
  %t = affine.apply affine_map<()[s0] -> (s0 + 1)>()[%p]
  %e = tensor.empty(%t) : tensor<?x4xf32>
  %0 = tensor.insert_slice %new into %e[0, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<?x4xf32>
  %1 = tensor.insert_slice %past into %0[1, 0] [%p, 4] [1, 1] : tensor<?x4xf32> into tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{state 'past': no result is called 'present'}}
func.func @missing(%past: tensor<?x4xf32> {lutra.name = "past", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4)>,
                                           lutra.state = {present = "present", axis = 0 : i64, capacity = 32 : i64}})
    attributes {lutra.dims = [{name = "p", min = 0 : i64, max = 32 : i64, multiple = 1 : i64, state}]} {
  return
}

// -----

// expected-error @+1 {{argument 0: expected lutra.name and lutra.shape}}
func.func @malformed(%past: tensor<?x4xf32> {lutra.name = "past", lutra.state = {present = "present", axis = 1 : i64, capacity = 32 : i64}}) {
  return
}
