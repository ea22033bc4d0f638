"""The machine and its software, as tables."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.environment import Environment, Gpu, Torch
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Note,
    Span,
    Table,
    code,
    line,
)


def environment(found: Environment | None) -> tuple[Block, ...]:
    """Everything that a maintainer asks first; what rarely matters is folded."""
    if found is None:
        return (Heading("Environment"), Note("note", line("the environment was not recorded")))
    blocks: list[Block] = [Heading("Environment")]
    blocks += [Note("warning", line(text)) for text in found.warnings]
    blocks.append(_facts(_machine(found)))
    if found.gpus:
        blocks.append(_gpus(found.gpus))
    if found.packages:
        blocks.append(_packages(found))
    if found.gaps:
        blocks.append(_folded_list("Could not be found out", found.gaps))
    blocks += _details(found)
    return tuple(blocks)


def _machine(found: Environment) -> dict[str, str | Span]:
    torch = found.torch
    driver = found.driver and f"{found.driver} (supports CUDA {found.cuda_driver or '?'})"
    memory = "" if found.memory_bytes is None else f", {units.size(found.memory_bytes)} memory"
    rows: dict[str, str | Span] = {
        "attnprobe": found.attnprobe,
        "Python": found.python,
        "system": found.os,
        "CPU": f"{found.cpu} ({found.cores} cores{memory})",
        "NVIDIA driver": driver or "none found",
    }
    if torch is None:
        rows["torch"] = Span(f"cannot be imported: {found.torch_error or 'no reason given'}", "bad")
    else:
        rows |= _torch(torch)
    return rows


def _torch(torch: Torch) -> dict[str, str | Span]:
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else "CPU only"
    return {
        "torch": f"{torch.version} ({built})",
        "cuDNN": torch.cudnn,
        "kernels built for": " ".join(torch.arch_list),
        "SDPA order": " > ".join(torch.sdpa_priority),
        "CPU threads": f"{torch.threads} ({torch.capabilities})" if torch.threads else "",
    }


def _facts(rows: dict[str, str | Span]) -> Table:
    filled = {name: value for name, value in rows.items() if value}
    return Table(
        (Column("what"), Column("found")),
        tuple((line(name), line(value)) for name, value in filled.items()),
    )


def _gpus(gpus: tuple[Gpu, ...]) -> Table:
    names = ("GPU", "name", "cc", "memory (used)", "SM MHz (max)", "W (limit)", "°C", "state")
    numbers = ("GPU", "°C")
    columns = tuple(Column(n, "right" if n in numbers else "left") for n in names)
    return Table(columns, tuple(_gpu(each) for each in gpus))


def _gpu(gpu: Gpu) -> tuple[Inline, ...]:
    cc = "?" if gpu.capability is None else ".".join(map(str, gpu.capability))
    memory = "?" if gpu.memory_bytes is None else units.size(gpu.memory_bytes)
    used = "?" if gpu.memory_used_bytes is None else units.size(gpu.memory_used_bytes)
    clock = "?" if gpu.sm_clock_mhz is None else "{} ({})".format(*gpu.sm_clock_mhz)
    power = "?" if gpu.power_w is None else "{:.0f} ({:.0f})".format(*gpu.power_w)
    heat = "?" if gpu.temperature_c is None else str(gpu.temperature_c)
    facts = (str(gpu.index), gpu.name, cc, f"{memory} ({used})", clock, power, heat)
    return (*(line(fact) for fact in facts), _gpu_state(gpu))


def _gpu_state(gpu: Gpu) -> Inline:
    oddities = [f"throttled: {', '.join(gpu.throttle)}"] if gpu.throttle else []
    oddities += [f"{gpu.ecc_errors} uncorrected ECC errors"] if gpu.ecc_errors else []
    oddities += ["MIG on"] if gpu.mig else []
    oddities += [f"{gpu.processes} other processes"] if gpu.processes else []
    ecc = {True: "ECC on", False: "ECC off", None: ""}[gpu.ecc]
    if oddities:
        return line(Span("; ".join(oddities), "weak"), f"; {ecc}" if ecc else "")
    return line(ecc or "nothing unusual")


def _packages(found: Environment) -> Table:
    return Table(
        (Column("package"), Column("version"), Column("build")),
        tuple(
            (
                line(code(p.name)),
                line(p.version),
                line(p.build, Span(" editable", "weak") if p.editable else ""),
            )
            for p in found.packages
        ),
    )


def _details(found: Environment) -> list[Block]:
    blocks: list[Block] = []
    missing = [each for each in found.libraries if each.missing]
    if missing:
        rows = tuple(
            (
                line(code(each.name)),
                line(each.needed_by),
                line(each.elsewhere and f"lies at {each.elsewhere}", *map(code, each.others)),
            )
            for each in missing
        )
        columns = (Column("missing library"), Column("needed by"), Column("what is there"))
        blocks.append(Table(columns, rows))
    if found.variables:
        blocks.append(_folded_table("Environment variables", "variable", found.variables))
    if found.torch and found.torch.flags:
        blocks.append(_folded_table("torch flags", "flag", found.torch.flags))
    loaded = {each.name: each.path for each in found.libraries if not each.missing}
    if loaded:
        blocks.append(_folded_table(f"Loaded libraries ({len(loaded)})", "library", loaded))
    if found.torch and found.torch.debug:
        blocks.append(_folded_list("How torch was built", found.torch.debug))
    return blocks


def _folded_table(summary: str, name: str, rows: dict[str, str]) -> Folded:
    cells = tuple((line(code(key)), line(code(value))) for key, value in rows.items())
    return Folded(summary, (Table((Column(name), Column("value")), cells),))


def _folded_list(summary: str, items: tuple[str, ...]) -> Folded:
    return Folded(summary, (Bullets(tuple(line(item) for item in items)),))
