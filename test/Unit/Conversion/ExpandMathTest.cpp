//===- ExpandMathTest.cpp - Accuracy of expanded math functions -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs every formula on numbers of all magnitudes, in a sweep over the range of
// the function, and on special values, and compares with libm in a wider type.
// Bounds are in units in the last place (ulp) of the exact result.
//
//===----------------------------------------------------------------------===//

#include "Jit.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "gtest/gtest.h"
#include <cfloat>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

using namespace lutra_test;

namespace {

using Wide = long double;
using Reference = std::function<Wide(Wide, Wide)>;

struct Function {
  const char *op;
  Reference reference;
  double low, high;     ///< The range that is swept evenly.
  double single, twice; ///< Bounds for f32 and f64, in ulp.
  bool isBinary = false;
  const char *flags = "";
};

template <Wide (*F)(Wide)>
Wide unary(Wide x, Wide) {
  return F(x);
}

const Function kFunctions[] = {
    {"exp", unary<expl>, -110, 95, 1.5, 1.5},
    {"exp2", unary<exp2l>, -130, 130, 1.5, 1.5},
    {"expm1", unary<expm1l>, -30, 95, 2.5, 2.5},
    {"log", unary<logl>, 0.1, 4, 1.5, 1.5},
    {"log2", unary<log2l>, 0.1, 4, 2.5, 2.5},
    {"log10", unary<log10l>, 0.1, 4, 2.5, 2.5},
    {"log1p", unary<log1pl>, -0.99, 4, 3, 3},
    {"tanh", unary<tanhl>, -12, 12, 3, 3},
    {"sinh", unary<sinhl>, -90, 90, 4, 4},
    {"cosh", unary<coshl>, -90, 90, 4, 4},
    {"asinh", unary<asinhl>, -20, 20, 4, 4},
    {"acosh", unary<acoshl>, 1, 20, 4, 4},
    {"atanh", unary<atanhl>, -1, 1, 4, 4},
    {"erf", unary<erfl>, -7, 7, 1.5, 1.5},
    {"sin", unary<sinl>, -100000, 100000, 2, 2},
    {"cos", unary<cosl>, -100000, 100000, 2, 2},
    {"tan", unary<tanl>, -100000, 100000, 4, 4},
    {"atan", unary<atanl>, -5, 5, 2.5, 2.5},
    {"asin", unary<asinl>, -1, 1, 3, 3},
    {"acos", unary<acosl>, -1, 1, 3, 3},
    {"cbrt", unary<cbrtl>, -30, 30, 2, 2},
    {"rsqrt", [](Wide x, Wide) { return 1 / sqrtl(x); }, 0, 30, 1.5, 1.5},
    {"floor", unary<floorl>, -30, 30, 0, 0},
    {"ceil", unary<ceill>, -30, 30, 0, 0},
    {"trunc", unary<truncl>, -30, 30, 0, 0},
    {"round", unary<roundl>, -30, 30, 0, 0},
    {"roundeven", unary<rintl>, -30, 30, 0, 0},
    {"powf", [](Wide x, Wide y) { return powl(x, y); }, 0, 20, 1, 1.5, true},
    {"atan2", [](Wide y, Wide x) { return atan2l(y, x); }, -20, 20, 3.5, 3.5,
     true},
};

/// Of which few bits count: 11 bits less than f32 has.
const Function kRoughFunctions[] = {
    {"exp", unary<expl>, -110, 95, 2048, 0, false, "fastmath<afn>"},
    {"exp2", unary<exp2l>, -130, 130, 2048, 0, false, "fastmath<afn>"},
};

/// The spacing of numbers of type T at `exact`.
template <typename T>
Wide ulpAt(Wide exact) {
  int exponent;
  std::frexp(std::max(std::fabs(exact), Wide(std::numeric_limits<T>::min())),
             &exponent);
  return std::ldexp(Wide(1), exponent - std::numeric_limits<T>::digits);
}

/// The distance of `got` from `exact` in ulp, infinite where its kind is wrong.
template <typename T>
double errorOf(T got, Wide exact) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact) || std::isnan(got))
    return std::isnan(exact) && std::isnan(got) ? 0 : kWrong;
  T rounded = T(exact);
  if (got == rounded)
    return got == 0 && std::signbit(got) != std::signbit(rounded) ? kWrong : 0;
  if (std::isinf(exact))
    return kWrong;
  // Subnormal results may be zero, and numbers next to them the least one.
  if (std::fabs(exact) < 1.000001 * std::numeric_limits<T>::min())
    return std::fabs(got) <= 1.000001 * std::numeric_limits<T>::min() ? 0
                                                                      : kWrong;
  // Beyond the range numbers would go on with a power of two.
  Wide beyond = std::ldexp(Wide(1), std::numeric_limits<T>::max_exponent);
  if (std::isinf(got) || std::fabs(exact) > beyond)
    exact = std::copysign(std::min(std::fabs(exact), beyond), exact);
  if (std::isinf(got))
    return double(std::fabs(std::copysign(beyond, Wide(got)) - exact) /
                  ulpAt<T>(std::numeric_limits<T>::max()));
  return double(std::fabs(Wide(got) - exact) / ulpAt<T>(exact));
}

template <typename T>
std::vector<T> specials() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values;
  for (T x : {T(0),
              T(0.5),
              T(1),
              T(1.5),
              T(2),
              T(2.5),
              T(3),
              T(10),
              T(1e-3),
              Limits::infinity(),
              Limits::min(),
              Limits::denorm_min(),
              Limits::max(),
              Limits::epsilon(),
              T(1) + Limits::epsilon(),
              T(1) - Limits::epsilon() / 2,
              T(8388607.5),
              T(16777215),
              T(16777216),
              T(9007199254740991)}) {
    values.push_back(x);
    values.push_back(-x);
  }
  values.push_back(Limits::quiet_NaN());
  values.push_back(sizeof(T) == 4 ? T(std::nanf("4660")) : T(std::nan("4660")));
  // Around where exponentials leave the range.
  for (double bound :
       {std::log(double(Limits::max())), std::log(double(Limits::min())),
        double(Limits::max_exponent), Limits::min_exponent - 1.0})
    for (T to : {-Limits::infinity(), Limits::infinity()}) {
      values.push_back(T(bound));
      values.push_back(std::nextafter(T(bound), to));
    }
  return values;
}

/// Pairs of arguments: specials with each other, a sweep, and all magnitudes.
template <typename T>
std::vector<std::pair<T, T>> argumentsOf(const Function &function) {
  std::vector<std::pair<T, T>> all;
  std::vector<T> special = specials<T>();
  for (T x : special)
    for (T y : special) {
      all.push_back({x, y});
      if (!function.isBinary)
        break;
    }
  std::mt19937 random(7);
  std::uniform_real_distribution<double> sweep(function.low, function.high),
      exponent(-40, 40);
  for (int i = 0; i < 100000; ++i)
    all.push_back({T(sweep(random)), T(sweep(random))});
  // Large arguments of trigonometric functions are outside their promise.
  bool isPeriodic = function.high == 100000;
  for (int i = 0; i < 50000; ++i) {
    T x = T(std::exp2(isPeriodic ? exponent(random) * 0.4 : exponent(random)));
    all.push_back({i % 2 ? -x : x, T(sweep(random))});
  }
  bool isPower = function.isBinary && function.low == 0;
  double most = std::log(double(std::numeric_limits<T>::max()));
  for (int i = 0; isPower && i < 50000;
       ++i) { // With results of all magnitudes.
    T x = T(i % 2 ? std::exp2(exponent(random)) : sweep(random));
    all.push_back({x, T((i % 20 * 0.1 - 1) * most / std::log(double(x)))});
  }
  for (int i = 1; isPeriodic && i < 60000; ++i) // Near multiples of pi / 2.
    all.push_back({T(i * 1.57079632679489661923L), 0});
  return all;
}

template <typename T>
std::string moduleFor(const Function &function, int lanes,
                      const std::string &features) {
  bool isVector = lanes > 1;
  std::string element = sizeof(T) == 4 ? "f32" : "f64",
              step = std::to_string(lanes);
  std::string type =
      isVector ? "vector<" + step + "x" + element + ">" : element;
  std::string load = isVector ? "vector.load" : "memref.load";
  std::string store = isVector ? "vector.store" : "memref.store";
  std::string memref = "memref<?x" + element + ">";
  std::string suffix = isVector ? ", " + type : "";
  return "module attributes {lutra.target = #lutra.target<triple = "
         "\"x86_64\", cpu = \"x86-64\", features = \"" +
         features +
         "\", vectorBits = 128, "
         "vectorRegisters = 16, l1 = 32768, l2 = 1048576>} {\n"
         "func.func @f(%x: " +
         memref + ", %y: " + memref + ", %z: " + memref +
         ") attributes {llvm.emit_c_interface} {\n"
         "  %c0 = arith.constant 0 : index\n  %c1 = arith.constant " +
         step + " : index\n  %n = memref.dim %x, %c0 : " + memref +
         "\n  scf.for %i = %c0 to %n step %c1 {\n"
         "    %a = " +
         load + " %x[%i] : " + memref + suffix + "\n    %b = " + load +
         " %y[%i] : " + memref + suffix + "\n    %r = math." + function.op +
         (function.isBinary ? " %a, %b " : " %a ") + function.flags + " : " +
         type + "\n    " + store + " %r, %z[%i] : " + memref + suffix +
         "\n  }\n  return\n}\n}\n";
}

template <typename T>
void check(const Function &function, int lanes, double bound,
           Machine machine = Machine::Host, const std::string &features = "") {
  auto arguments = argumentsOf<T>(function);
  while (arguments.size() % lanes)
    arguments.push_back(arguments.back());
  int64_t count = arguments.size();
  std::vector<T> x, y, z(count);
  for (auto [first, second] : arguments) {
    x.push_back(first);
    y.push_back(second);
  }
  Jit jit(moduleFor<T>(function, lanes, features),
          "func.func(expand-math,expand-rounding)", machine);
  jit.call("f", {{x.data(), 0, {count}, {1}},
                 {y.data(), 0, {count}, {1}},
                 {z.data(), 0, {count}, {1}}});
  double worst = 0;
  int64_t where = 0;
  for (int64_t i = 0; i < count; ++i) {
    bool isPeriodic = function.high == 100000;
    if (isPeriodic && std::fabs(x[i]) > 1e6 && std::isfinite(x[i]))
      continue;
    double error = errorOf<T>(z[i], function.reference(x[i], y[i]));
    if (error > worst) {
      worst = error;
      where = i;
    }
  }
  EXPECT_LE(worst, bound) << function.op << "(" << x[where] << ", " << y[where]
                          << ") is " << z[where] << ", expected "
                          << double(function.reference(x[where], y[where]));
  testing::Test::RecordProperty(sizeof(T) == 4 ? "ulp_f32" : "ulp_f64",
                                std::to_string(worst));
}

class Accuracy : public testing::TestWithParam<Function> {};

TEST_P(Accuracy, F32) { check<float>(GetParam(), 8, GetParam().single); }
TEST_P(Accuracy, F64) { check<double>(GetParam(), 8, GetParam().twice); }
TEST_P(Accuracy, Scalar) { check<float>(GetParam(), 1, GetParam().single); }

TEST_P(Accuracy, BaselineF32) {
  check<float>(GetParam(), 8, GetParam().single, Machine::Baseline);
}
TEST_P(Accuracy, BaselineF64) {
  check<double>(GetParam(), 8, GetParam().twice, Machine::Baseline);
}

// What has a table in a register on machines with AVX-512.
TEST(Tables, F32) {
  if (!llvm::sys::getHostCPUFeatures().lookup("avx512dq"))
    GTEST_SKIP() << "the machine has no AVX-512";
  for (const Function &function : kFunctions)
    if (llvm::StringRef(function.op).starts_with("exp"))
      for (int lanes : {8, 16, 32})
        check<float>(function, lanes, function.single, Machine::Host,
                     "+avx512dq");
}

TEST(Rough, F32) {
  for (const Function &function : kRoughFunctions) {
    for (Machine machine : {Machine::Host, Machine::Baseline})
      check<float>(function, 8, function.single, machine);
    if (llvm::sys::getHostCPUFeatures().lookup("avx512dq"))
      check<float>(function, 16, function.single, Machine::Host, "+avx512dq");
  }
}

// What is multiplied with a subnormal number takes a hundred times as long on
// some machines. Where it begins is told to the 32nd of a power of two.
TEST(Tables, NothingIsSubnormal) {
  if (!llvm::sys::getHostCPUFeatures().lookup("avx512dq"))
    GTEST_SKIP() << "the machine has no AVX-512";
  std::vector<float> x, z(4096);
  for (int i = 0; i < 4096; ++i)
    x.push_back(-160 + 40 * float(i) / 4096);
  for (const Function *function : {&kFunctions[0], &kFunctions[1],
                                   &kRoughFunctions[0], &kRoughFunctions[1]}) {
    Jit jit(moduleFor<float>(*function, 16, "+avx512dq"),
            "func.func(expand-math,expand-rounding)", Machine::Host);
    jit.call("f", {{x.data(), 0, {4096}, {1}},
                   {x.data(), 0, {4096}, {1}},
                   {z.data(), 0, {4096}, {1}}});
    for (int i = 0; i < 4096; ++i)
      EXPECT_TRUE(z[i] == 0 || z[i] > 0.97 * FLT_MIN)
          << function->op << "(" << x[i] << ") is " << z[i];
  }
}

TEST(Rough, IsExactForPowersOfTwo) {
  std::vector<float> x, z(256);
  for (int i = 0; i < 256; ++i)
    x.push_back(i - 126);
  for (const char *features : {"", "+avx512dq"}) {
    if (*features && !llvm::sys::getHostCPUFeatures().lookup("avx512dq"))
      continue;
    Jit jit(moduleFor<float>(kRoughFunctions[1], 16, features),
            "func.func(expand-math,expand-rounding)", Machine::Host);
    jit.call("f", {{x.data(), 0, {256}, {1}},
                   {x.data(), 0, {256}, {1}},
                   {z.data(), 0, {256}, {1}}});
    for (int i = 0; i < 256; ++i)
      EXPECT_EQ(z[i], std::exp2(x[i])) << x[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, Accuracy, testing::ValuesIn(kFunctions),
                         [](const auto &info) {
                           return std::string(info.param.op);
                         });

} // namespace
