/* Small models that together have every kind of operator: what damaged ones are made of. */
#ifndef ONNX_SEEDS_H
#define ONNX_SEEDS_H

static const char *const onnx_seeds[] = {
    "input x f 1x2x5x5; init w f 3x2x3x3; init b f 3; init s l 2 = 1,-1; output z;"
    "node c Conv x,w,b > y pads=[1,1,1,1] strides=[2,2]; node r Relu y > q; node s Reshape q,s > z",
    "input x f nx4; init w h 3x4 list; init b f 3 list; output y; node k Constant > a value=l(1);"
    "node g Gemm x,w,b > g transB=1 alpha=1.0; node u Unsqueeze g,a > u; node t Transpose u > y perm=[0,2,1]",
    "input x f 1x4x6x6; init w f 4x1x3x3; output y; node c Conv x,w > c group=4 auto_pad=\"SAME_UPPER\";"
    "node p MaxPool c > p,i kernel_shape=[2,2] strides=[2,2] ceil_mode=1; node u MaxUnpool p,i > y kernel_shape=[2,2] "
    "strides=[2,2]",
    "input x f 1x2x4x4; init w f 2x3x3x3; output y; node c ConvTranspose x,w > c strides=[2,2] output_padding=[1,1];"
    "node p AveragePool c > p kernel_shape=[3,3] pads=[1,1,1,1] count_include_pad=1; node l LpPool p > y "
    "kernel_shape=[2,2] p=3",
    "input x f 2x4x3x3; init g f 4; output y; node b BatchNormalization x,g,g,g,g > b epsilon=0.01;"
    "node i InstanceNormalization b,g,g > i; node l LRN i > l size=3; node q GlobalAveragePool l > q; node f Flatten q "
    "> y",
    "input x f 2x3x4; init o l 1 = 1; init e l 1 = 4; init a l 1 = 2; init z l 1 = 2; init h f scalar = 0.5; output y;"
    "node s Slice x,o,e,a,z > s; node p Pow s,h > p; node c Concat p,s > c axis=2; node m ReduceMean c > m axes=[1] "
    "keepdims=0;"
    "node q Softmax m > y axis=-1",
    "input x f 2x3; init i l 2 = 1,-1; init r l 2 = 2,1; init pad l 4 = 1,0,0,1; output y;"
    "node g Gather x,i > g axis=1; node t Tile g,r > t; node p Pad t,pad > p mode=\"reflect\"; node e Abs p > e; node "
    "f "
    "Floor e > y",
    "input x f 1x1x3x3; init r f 4 = 1,1,2,2; output y; node u Resize x,-,r > u mode=\"linear\"; node d SpaceToDepth u "
    "> d blocksize=2;"
    "node e DepthToSpace d > e blocksize=2 mode=\"CRD\"; node c Clip e > y",
    "input x f 2x3; init w f 2x3x4; init o l 2 = 3,4; output y; node m MatMul x,w > y; node g Greater x,x > g;"
    "node n Not g > n; node w Where n,x,x > z",
    "input x f 3x4; output y; node s Shape x > s; node z Size x > z; node c Cast s > f to=1; node r ReduceProd f > p "
    "keepdims=0;"
    "node m Mul x,p > m; node d Dropout m > d; node i Identity d > y",
    "input x f 1x4x2x2; init b f 2; init c l scalar = 0; init l l scalar = 6; init d l scalar = 2; output y;"
    "node n GroupNormalization x,b,b > n num_groups=2; node r Range c,l,d > r; node o ConstantOfShape r > o; node e "
    "Erf n > y",
    "input x f 1x4x16; init i l 2 = 3,3; init k l 2 = 2,2; init s l 1 = 4; output y; node c Col2Im x,i,k > c "
    "pads=[1,1,1,1];"
    "node v MeanVarianceNormalization c > v; node l LpNormalization v > l axis=1 p=1; node p PRelu l,l > y",
    "input x f 1x2x4x4; init w f 2x2x1x1; init o f 1x2x4x4; init r f 1x5 = 0,0,0,3,3; init q f 1x4 = 0,0,3,3; init b l "
    "1 = 0;"
    "output y; output z; output v; node d DeformConv x,w,o > y; node m MaxRoiPool x,r > z pooled_shape=[2,2];"
    "node a RoiAlign x,q,b > v output_height=2 output_width=2",
    "input x f 2x3x4; init a l scalar = 1; init k l 1 = 2; output y; output i; node c CumSum x,a > c reverse=1;"
    "node t TopK c,k > t,i axis=-1; node m ArgMax t > m axis=1; node f Cast m > f to=1; node r ReduceLogSumExp f > r;"
    "node o LogSoftmax r > y axis=0",
    "input x f 2x3x4; init g f 4; init a l 1 = 1; init n l 2 = 1,2; output y; node l LayerNormalization x,g,g > l;"
    "node s Split l,n > s,t axis=1; node q ReduceMax t > q axes=[1]; node e Expand q,k > e; node k Shape t > k; node d "
    "Sub t,e > y",
    "input x f 1x2x4x4; init w c 3x2x3x3; init z c scalar = 0; init s f scalar = 0.5; init b i 3; init m c 2x3; output "
    "y;"
    "output i; output k; node d DynamicQuantizeLinear x > q,e,o; node c ConvInteger q,w,o,z > i pads=[1,1,1,1];"
    "node v QLinearConv q,e,o,w,s,z,s,o,b > v; node l QLinearMatMul v,s,o,m,s,z,s,z > y; node p MatMulInteger v,m,o > "
    "k",
};
enum { ONNX_SEEDS = sizeof onnx_seeds / sizeof *onnx_seeds };

#endif
