"""The patients of the bug clinic: kernels to be examined. Most of them are ill.

A docstring says what a patient promises to do. They are not to be used for anything else.
"""

from numba import cuda, float32, int32

from course.cuda.clinic import BLOCK


@cuda.jit
def patient_1(x):
    """Adds 1 to each element."""
    i = cuda.grid(1)
    x[i] += float32(1)


@cuda.jit
def patient_2(x):
    """Halves each element."""
    i = cuda.grid(1)
    if i <= x.size:
        x[i] *= float32(0.5)


@cuda.jit
def patient_3(x, out):
    """out[i] = x[i] - x[i - 1]: how much has come since the element before."""
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i] - x[i - 1]


@cuda.jit
def patient_4(image):
    """Makes each element of an image twice as bright."""
    x, y = cuda.grid(2)
    if x < image.shape[1] and y < image.shape[0]:
        image[x, y] *= float32(2)


@cuda.jit
def patient_5(x):
    """Squares each element."""
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[i] *= x[i]


@cuda.jit
def patient_6(x, out):
    """Adds all elements of x to out[0]."""
    i = cuda.threadIdx.x
    if i < x.size:
        out[0] += x[i]


@cuda.jit
def patient_7(x):
    """Moves each element one place to the left; the last one stays."""
    i = cuda.threadIdx.x
    if i + 1 < x.size:
        x[i] = x[i + 1]


@cuda.jit
def patient_8(x):
    """Moves each element one place to the left; the last one stays."""
    i = cuda.threadIdx.x
    right = float32(0)
    if i + 1 < x.size:
        right = x[i + 1]
    cuda.syncthreads()
    if i + 1 < x.size:
        x[i] = right


@cuda.jit
def patient_9(x, y, out):
    """y[i] = x[i] * x[i], and out[i] = y[i] - y[i - 1] for all but the first."""
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * x[i]
    cuda.syncthreads()
    if 0 < i < x.size:
        out[i] = y[i] - y[i - 1]


@cuda.jit
def patient_10(x, out):
    """Turns each block's elements round; beyond the end of x there are zeros."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    tile[t] = 0
    cuda.syncthreads()
    if i < x.size:
        tile[t] = x[i]
    if i < out.size:
        out[i] = tile[BLOCK - 1 - t]


@cuda.jit
def patient_11(x, out):
    """The mean of an element and the one before it in the block; the block's first one stays."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < x.size:
        tile[t] = x[i]
        cuda.syncthreads()
        out[i] = (tile[t] + tile[max(t - 1, 0)]) * float32(0.5)


@cuda.jit
def patient_12(x, out):
    """How much larger each element is than the first one of its block."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i >= x.size:
        return
    tile[t] = x[i]
    cuda.syncthreads()
    out[i] = tile[t] - tile[0]


@cuda.jit
def patient_13(x, out):
    """out[b] = the sum of block b's elements."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < x.size:
        tile[t] = x[i]
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for k in range(BLOCK):
            total += tile[k]
        out[cuda.blockIdx.x] = total


@cuda.jit
def patient_14(x, out):
    """out[i] = x[i - 1] + x[i]. The tile holds the block's elements, and before them the one to their left."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < x.size:
        tile[t + 1] = x[i]
    if t == 0:
        tile[0] = x[i - 1] if i > 0 else float32(0)
    cuda.syncthreads()
    if i < x.size:
        out[i] = tile[t] + tile[t + 1]


@cuda.jit
def patient_15(x, out):
    """out[i] = the sum of the distances from x[i] to all elements. They come through the tile, a block's worth at a time."""
    tile = cuda.shared.array(BLOCK, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    mine = x[i] if i < x.size else float32(0)
    total = float32(0)
    for start in range(0, x.size, BLOCK):
        if start + t < x.size:
            tile[t] = x[start + t]
        cuda.syncthreads()
        for k in range(min(BLOCK, x.size - start)):
            total += abs(mine - tile[k])
    if i < x.size:
        out[i] = total


@cuda.jit
def patient_16(x, out):
    """out[0] = the sum of x. In each round, half of those who are left add the other half's numbers to their own."""
    tile = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t] if t < x.size else float32(0)
    cuda.syncthreads()
    half = 16
    while half > 0:
        if t < half:
            tile[t] += tile[t + half]
        half //= 2
    if t == 0:
        out[0] = tile[0]


@cuda.jit
def patient_17(x, out):
    """out[b] = how many elements of block b are positive."""
    count = cuda.shared.array(1, int32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if t == 0:
        count[0] = 0
    cuda.syncthreads()
    if i < x.size and x[i] > 0:
        cuda.atomic.add(count, 0, 1)
    if t == 0:
        out[cuda.blockIdx.x] = count[0]


@cuda.jit
def patient_18(x, out):
    """out[i] = x[i] in its row of a table, which a block keeps in shared memory."""
    table = cuda.shared.array((128, 128), float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < x.size:
        table[t, 0] = x[i]
        out[i] = table[t, 0]
