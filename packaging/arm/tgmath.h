/* <tgmath.h> for real numbers: the compiler's own needs complex functions that newlib does not have. */
#ifndef CONVPOOL_TGMATH_H
#define CONVPOOL_TGMATH_H

#include <math.h>

#define TGMATH(function, x) _Generic((x), float : function##f, default : function)(x)
#define exp(x) TGMATH(exp, x)
#define expm1(x) TGMATH(expm1, x)
#define log(x) TGMATH(log, x)
#define log1p(x) TGMATH(log1p, x)
#define tanh(x) TGMATH(tanh, x)
#define erfc(x) TGMATH(erfc, x)
#define sqrt(x) TGMATH(sqrt, x)
#define fabs(x) TGMATH(fabs, x)
#define TGMATH2(function, x, y) _Generic((x) + (y), float : function##f, default : function)(x, y)
#define pow(x, y) TGMATH2(pow, x, y)
#define fmax(x, y) TGMATH2(fmax, x, y)
#define fmin(x, y) TGMATH2(fmin, x, y)

#endif
