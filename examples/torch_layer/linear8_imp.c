/* The layer on the DSP. */
#include "linear8.h"

int linear8_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    *handle = 1;
    return AEE_SUCCESS;
}

int linear8_close(remote_handle64 handle)
{
    (void)handle;
    return AEE_SUCCESS;
}

int linear8_forward(remote_handle64 handle, const int8 *weights, int weightsLen,
                    const float *scales, int scalesLen, const float *bias, int biasLen,
                    const float *inputs, int inputsLen, float *results, int resultsLen)
{
    (void)handle;
    if (!scalesLen || biasLen != scalesLen || weightsLen % scalesLen || resultsLen % scalesLen)
        return AEE_EBADPARM;
    int rows = resultsLen / scalesLen, width = weightsLen / scalesLen;
    if (inputsLen != rows * width)
        return AEE_EBADPARM;
    for (int row = 0; row < rows; row++) {
        for (int output = 0; output < scalesLen; output++) {
            float sum = 0;
            for (int k = 0; k < width; k++)
                sum += weights[output * width + k] * inputs[row * width + k];
            results[row * scalesLen + output] = scales[output] * sum + bias[output];
        }
    }
    return AEE_SUCCESS;
}
