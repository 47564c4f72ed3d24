/* Small nets that have a name, as texts for cp_net_parse: all but the last layer, which has one output a class. */
#include <string.h>

#include "graph/graph.h"

static const struct {
    const char *name, *text;
} nets[] = {
    /* LeCun et al., "Gradient-based learning applied to document recognition" (1998), with plain averages for its
     * trained subsampling and every filter seeing all maps; same padding stands for the frame around MNIST. */
    {"lenet5", "conv 6 5x5 same tanh; avg-pool 2; conv 16 5x5 tanh; avg-pool 2; conv 120 5x5 tanh; flatten; "
               "dense 84 tanh"},
    /* He et al., "Deep residual learning for image recognition" (2015), the net for CIFAR-10 with one block a size, a
     * projection where the size changes, and no normalisation. */
    {"resnet8", "conv 16 3x3 same relu; "
                "{ conv 16 3x3 same relu; conv 16 3x3 same | }; relu; "
                "{ conv 32 3x3 same stride 2 relu; conv 32 3x3 same | conv 32 1x1 stride 2 }; relu; "
                "{ conv 64 3x3 same stride 2 relu; conv 64 3x3 same | conv 64 1x1 stride 2 }; relu; "
                "avg-pool global; flatten"},
    /* In the manner of Simonyan and Zisserman, "Very deep convolutional networks" (2014), for MNIST: digits have a
     * margin, so that no padding is needed. */
    {"vgg6", "conv 32 3x3 relu; conv 32 3x3 relu; pool 2; dropout 0.2; conv 64 3x3 relu; conv 64 3x3 relu; pool 2; "
             "dropout 0.2; flatten; dense 256 relu; dropout 0.4"},
};

const char *cp_named_net(const char *name) {
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if (!strcmp(nets[i].name, name)) return nets[i].text;
    return NULL;
}
