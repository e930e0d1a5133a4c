"""ScOT of Poseidon in the Python systems: for each, the step that peers.py times.

The networks come from the user's checkouts (camlab-ethz/poseidon for PyTorch and ONNX Runtime, with the Swin V2 classes
of transformers 4.29; jax_poseidon for JAX); nothing of them is kept here. A step is one forecast or, with `--mode
train`, the relative L1 loss over groups of channels, backward and AdamW on all parameters. Weights are each system's
own random start.
"""

import functools
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

# embed_dim, depths, heads, skip blocks
VARIANTS = {name: (dim, [depth] * 4, [3, 6, 12, 24], [2, 2, 2, 0])
            for name, dim, depth in [("T", 48, 4), ("S", 48, 8), ("B", 96, 8), ("L", 192, 8)]}
FRAMES, FIELDS = 1, 4
LEARNING_RATE, WEIGHT_DECAY = 5e-5, 1e-6


def model(options):
    return f"poseidon-{options.variant}"


def build(peer, options):
    """(name of the system, step): step() does the whole piece of work and returns the forecast or the loss."""
    return PEERS[peer](options)


def norm(output):
    import numpy

    return float(numpy.linalg.norm(numpy.asarray(output)))


def configuration(options, sequence):
    embed_dim, depths, heads, skips = VARIANTS[options.variant]
    return dict(image_size=options.grid[0], patch_size=4, num_channels=options.fields, num_out_channels=options.fields,
                embed_dim=embed_dim, depths=sequence(depths), num_heads=sequence(heads),
                skip_connections=sequence(skips), window_size=16, mlp_ratio=4.0, drop_path_rate=0.0,
                use_conditioning=True, p=1, channel_slice_list_normalized_loss=[0, 1, 3, 4])


def frame_times_and_target(options):
    """A frame (batch, field, y, x), its lead time (batch) and the frame then."""
    import numpy

    draw = numpy.random.default_rng(0)
    shape = (options.batch, options.fields, *options.grid)
    frame, target = (draw.standard_normal(shape, numpy.float32) for _ in range(2))
    return frame, numpy.full(options.batch, 0.5, numpy.float32), target


def torch_network(options):
    """The original as a module of the frame and its lead time; with a target, its loss."""
    import torch

    sys.path.insert(0, options.reference)
    from scOT.model import ScOT, ScOTConfig

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    scot = ScOT(ScOTConfig(**configuration(options, list)))
    for name, parameter in scot.named_parameters():
        if ("norm" in name or "layernorm" in name) and name.endswith("weight.bias"):
            torch.nn.init.ones_(parameter)  # starts at 0: output_norm would not see the blocks

    class Forecast(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scot = scot

        def forward(self, frame, time, target=None):
            return self.scot(pixel_values=frame, time=time, labels=target, return_dict=False)[0]

    return Forecast().train(options.mode == "train")


def build_torch(options, compiled):
    import torch

    system = f"PyTorch {torch.__version__}{', compiled' if compiled else ''}"
    network = torch_network(options)
    forecast = torch.compile(network) if compiled else network
    frame, time, target = map(torch.from_numpy, frame_times_and_target(options))
    if options.mode == "forward":
        return system, torch.inference_mode()(lambda: forecast(frame, time))

    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)

    def step():
        optimizer.zero_grad()
        loss = forecast(frame, time, target)
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
        path = os.path.join(folder, "scot.onnx")
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # keeps PyTorch's memory out of this one's
            pool.submit(export_onnx, options, path).result()
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    feed = {entry.name: value for entry, value in zip(session.get_inputs(), frame_times_and_target(options))}
    return f"ONNX Runtime {onnxruntime.__version__}", lambda: session.run(None, feed)[0]


def export_onnx(options, path):
    import torch

    frame, time, _ = map(torch.from_numpy, frame_times_and_target(options))
    with torch.no_grad():
        torch.onnx.export(torch_network(options), (frame, time), path, dynamo=False, opset_version=17)


def build_jax(options):
    if not options.jax_reference:
        raise ValueError("--jax-reference is not given")
    import jax

    sys.path.insert(0, options.jax_reference)
    from jax_poseidon import ScOT, ScOTConfig

    system = f"JAX {jax.__version__}, jitted"
    network = ScOT(ScOTConfig(name="peer", hidden_act="gelu", **configuration(options, tuple)), False, False)
    frame, time, target = map(jax.numpy.asarray, frame_times_and_target(options))
    frame, target = (jax.numpy.moveaxis(field, 1, -1) for field in (frame, target))
    key = jax.random.key(0)
    params = jax.jit(lambda: network.init({"params": key, "dropout": key}, pixel_values=frame, time=time,
                                          deterministic=True))()
    if options.mode == "forward":
        forecast = jax.jit(lambda params, frame, time: network.apply(
            params, pixel_values=frame, time=time, deterministic=True).output)
        return system, lambda: forecast(params, frame, time).block_until_ready()

    import optax

    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    state = jax.jit(optimizer.init)(params)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, frame, time, target):
        def loss_of(params):
            return network.apply(params, pixel_values=frame, time=time, labels=target, deterministic=True).loss

        loss, gradient = jax.value_and_grad(loss_of)(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, loss

    def step():
        nonlocal params, state
        params, state, loss = jax.block_until_ready(update(params, state, frame, time, target))
        return loss

    return system, step


PEERS = {
    "torch": functools.partial(build_torch, compiled=False),
    "compile": functools.partial(build_torch, compiled=True),
    "ort": build_onnxruntime,
    "jax": build_jax,
}
