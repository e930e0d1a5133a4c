"""AViT of Multiple Physics Pretraining in the Python systems: for each, the step that peers.py times.

The networks come from the user's checkouts (PolymathicAI/multiple_physics_pretraining for PyTorch and ONNX Runtime,
FhG-IISB/jax_mpp for JAX); nothing of them is kept here. A step is one forecast or, with `--mode train`, normalised MSE,
backward and AdamW on all parameters, without drop path. Labels and boundary conditions (open) are constants of the
compiled programs, as whoever wants speed would have it. Weights are each system's own random start.
"""

import functools
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import SimpleNamespace

VARIANTS = {"Ti": (192, 3, 12), "S": (384, 6, 12), "B": (768, 12, 12), "L": (1024, 16, 24)}  # embed_dim, heads, blocks
FRAMES, FIELDS = 4, 3
STATES = 12  # size of the vocabulary of fields
OPEN = {(0, 0): 0, (0, 1): 0}  # bcs[0, axis]; a dictionary, so that tracing sees plain integers
LEARNING_RATE, WEIGHT_DECAY = 1e-4, 1e-3


def model(options):
    return f"avit-{options.variant}"


def build(peer, options):
    """(name of the system, step): step() does the whole piece of work and returns the forecast or the loss."""
    return PEERS[peer](options)


def norm(output):
    import numpy

    return float(numpy.linalg.norm(numpy.asarray(output)))


def frames_and_target(options):
    """The window of frames (time, batch, field, y, x) and the frame after it."""
    import numpy

    shape = (options.frames + 1, options.batch, options.fields, *options.grid)
    frames = numpy.random.default_rng(0).standard_normal(shape, numpy.float32)
    return frames[:-1], frames[-1]


def normalised_mse(forecast, target):
    """Per sample and field relative to the target's mean square; one text for PyTorch and JAX."""
    return (((forecast - target) ** 2).mean((2, 3)) / (1e-7 + (target**2).mean((2, 3)))).mean()


def torch_network(options):
    """The original as a module of the frames alone."""
    import torch

    sys.path.insert(0, os.path.join(options.reference, "models"))
    from avit import AViT
    from mixed_modules import build_spacetime_block

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    embed_dim, heads, blocks = VARIANTS[options.variant]
    kind = {"block_type": "axial", "space_type": "axial_attention", "time_type": "attention", "bias_type": "rel"}
    block = SimpleNamespace(embed_dim=embed_dim, num_heads=heads, gradient_checkpointing=False, **kind)
    avit = AViT(embed_dim=embed_dim, processor_blocks=blocks, n_states=STATES, drop_path=0.0,
                override_block=build_spacetime_block(block))
    for name, parameter in avit.named_parameters():
        if "gamma" in name:
            torch.nn.init.constant_(parameter, 0.4)  # starts at 1e-6: output_norm would not see the blocks

    class Forecast(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.avit = avit

        def forward(self, frames):
            return self.avit(frames, [list(range(options.fields))], OPEN)

    return Forecast().train(options.mode == "train")


def build_torch(options, compiled):
    import torch

    system = f"PyTorch {torch.__version__}{', compiled' if compiled else ''}"
    network = torch_network(options)
    forecast = torch.compile(network) if compiled else network
    frames, target = map(torch.from_numpy, frames_and_target(options))
    if options.mode == "forward":
        return system, torch.inference_mode()(lambda: forecast(frames))

    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)

    def step():
        optimizer.zero_grad()
        loss = normalised_mse(forecast(frames), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return system, step


def build_onnxruntime(options):
    if options.mode == "train":
        raise NotImplementedError("ONNX Runtime is timed for inference only")
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "avit.onnx")
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # keeps PyTorch's memory out of this one's
            pool.submit(export_onnx, options, path).result()
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: frames_and_target(options)[0]}
    return f"ONNX Runtime {onnxruntime.__version__}", lambda: session.run(None, feed)[0]


def export_onnx(options, path):
    import torch

    frames, _ = frames_and_target(options)
    torch.onnx.export(torch_network(options), (torch.from_numpy(frames),), path, dynamo=True)


def build_jax(options):
    if not options.jax_reference:
        raise ValueError("--jax-reference is not given")
    import jax

    sys.path.insert(0, options.jax_reference)
    from jax_mpp import AViT

    system = f"JAX {jax.__version__}, jitted"
    embed_dim, heads, blocks = VARIANTS[options.variant]
    network = AViT(embed_dim=embed_dim, processor_blocks=blocks, n_states=STATES, num_heads=heads, drop_path=0.0)
    frames, target = map(jax.numpy.asarray, frames_and_target(options))
    labels = jax.numpy.arange(options.fields)
    params = jax.jit(lambda key: network.init(key, frames, labels, OPEN))(jax.random.key(0))
    if options.mode == "forward":
        forecast = jax.jit(lambda params, frames: network.apply(params, frames, labels, OPEN))
        return system, lambda: forecast(params, frames).block_until_ready()

    import optax

    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    state = jax.jit(optimizer.init)(params)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, frames, target):
        def loss_of(params):
            return normalised_mse(network.apply(params, frames, labels, OPEN), target)

        loss, gradient = jax.value_and_grad(loss_of)(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, loss

    def step():
        nonlocal params, state
        params, state, loss = jax.block_until_ready(update(params, state, frames, target))
        return loss

    return system, step


PEERS = {
    "torch": functools.partial(build_torch, compiled=False),
    "compile": functools.partial(build_torch, compiled=True),
    "ort": build_onnxruntime,
    "jax": build_jax,
}
