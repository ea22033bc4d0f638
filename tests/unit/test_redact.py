"""Nothing that names a person, a machine or a secret is left in a report; versions are."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe import masks
from attnprobe.core.jsonio import decode, encode
from attnprobe.core.mask import Mask
from attnprobe.core.report import Report
from attnprobe.redact import Identity, redact
from attnprobe.redact.scrub import scrubber
from attnprobe.report import compose, html, json_view, markdown, terminal
from tests.golden import example

IDENTITY = Identity(
    users=("marie", "torch"),
    hosts=("lab-gpu-17", "lab-gpu-17.example.org"),
    homes=("/home/marie", "/srv/people/m"),
    addresses=("192.0.2.77",),
)
SCRUB = scrubber(IDENTITY, frozenset({"10.3.9.90"}))

SECRETS = {
    "user": ("run by marie on", "marie"),
    "host": ("on lab-gpu-17.example.org:", "lab-gpu"),
    "home": ("File /home/marie/work/train.py", "marie"),
    "odd home": ("File /srv/people/m/train.py", "/srv/people"),
    "another's home": ("/home/pierre/x.py", "pierre"),
    "home on a mount": ("/mnt/nfs/home/pierre/x.py", "pierre"),
    "mac home": ("/Users/pierre/x.py", "pierre"),
    "windows home": (r"C:\Users\Pierre C\x.py", "Pierre"),
    "windows home, escaped": (r"'C:\\Users\\pierre\\x.py'", "pierre"),
    "home before site-packages": ("/scratch/irene/v/lib/python3.12/site-packages/a.py", "irene"),
    "hugging face": ("token hf_QwErTyUiOpAsDfGhJkLz1234567890", "hf_Q"),
    "open ai": ("sk-proj-abcdefghijklmnopqrstuvwxyz", "sk-proj-abc"),
    "github": ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_"),
    "github, fine-grained": ("github_pat_11ABCDEFG0123456789_abcdefg", "github_pat"),
    "aws id": ("AKIAIOSFODNN7EXAMPLE", "AKIA"),
    "aws key": ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalr"),
    "variable": ("WANDB_API_KEY=0123456789abcdef0123", "0123456789abcdef"),
    "quoted": ('{"password": "correct horse battery"}', "horse"),
    "header": ("Authorization: Bearer abcdef.ghijkl", "ghijkl"),
    "url": ("https://pierre:geheim@example.org/simple", "geheim"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig", "eyJz"),
    "pem": ("-----BEGIN RSA PRIVATE KEY----- MIIEow -----END RSA PRIVATE KEY-----", "MIIE"),
    "split by colour": ("hf_QwErTyUiOp\x1b[0mAsDfGhJkLz1234", "AsDf"),
    "after half an escape": ("\x9b /home/pierre/x.py", "pierre"),
    "ipv4": ("listening on 10.20.30.40", "10.20"),
    "ipv4 and port": ("tcp://198.51.100.7:29500", "198.51"),
    "ipv4 after a word of versions": ("driver 10.20.30.40:80", "10.20"),
    "aws host": ("ip-10-20-30-40", "10-20"),
    "ipv6": ("from 2001:db8::8a2e:370:7334", "8a2e"),
    "ipv6, local": ("fe80::1ff:fe23:4567:890a%eth0", "1ff"),
    "mac": ("link 3c:ec:ef:12:34:56 up", "3c:ec"),
    "uuid": ("GPU-5d8a7f1e-6c4b-4b0e-9f2d-1a2b3c4d5e6f", "5d8a"),
    "serial": ("Serial Number: 1650522012345", "1650"),
    "e-mail": ("pierre.c@physics.example.org", "pierre"),
}

KEPT = (
    "torch 2.11.0+cu130, xformers 0.0.35, driver 580.95.05",
    "nvidia-curand-cu12 10.3.9.90",
    "curand: 10.3.9.90 is loaded",
    "libcudnn.so.9.19.0.56",
    "cuDNN 9.19.0.56",
    "CUDA 12.8.93.1",
    "nvidia_cuda_nvrtc_cu12-12.8.93.1-py3-none-manylinux2014_x86_64",
    "xformers==0.0.35.1",
    "1.2.3.4.5 and 1.2.3",
    "fa2F@2.5.7-pt",
    "at::native::c10::d::add c10::cuda::CUDAGuard",
    "at 12:30:45 on 0000:3b:00.0",
    "key=torch.Size([3]), tokens=1024, num_tokens: 77, tokenizer=bpe",
    "sdpa-flash through torch.nn.functional",
    "hf_transfer and sk-learn",
    "git 70d99e998b4955e0049d13a98d77ae1b14db1f45",
    "serial execution of 12345678 rows",
    "5% of 99.5 GiB/s, e.g. B2 H8/2 M512x1024 K64",
    "site-packages/torch/nn/functional.py",
    "void fmha_cutlassF_bf16_aligned_64x64_rf_sm80(Params)",
)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_gone(name: str) -> None:
    """No telling part of it is left."""
    text, telling = SECRETS[name]
    assert telling not in SCRUB(text)


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_secret_stays(text: str) -> None:
    """Versions, kernel names and words of the field survive to the letter."""
    assert SCRUB(text) == text


def test_site_packages_paths_stay_useful() -> None:
    """The part below site-packages says which file it was."""
    path = "/home/marie/.venv/lib/python3.12/site-packages/xformers/ops/fmha/cutlass.py"
    assert (
        SCRUB(f'File "{path}", line 7')
        == 'File "site-packages/xformers/ops/fmha/cutlass.py", line 7'
    )


def test_a_bare_quadruple_is_an_address() -> None:
    """Nothing says that it is a version, so privacy wins."""
    assert SCRUB("12.8.93.1") == "<ip>"


def test_a_version_of_the_report_is_known_everywhere_in_it() -> None:
    """`9.19.0.56` is the version of a package in the list, so a bare one is no address."""
    report = replace(example.H200, notes=("saw 9.19.0.56 and 10.1.1.1",))
    assert redact(report, IDENTITY).notes == ("saw 9.19.0.56 and <ip>",)


def test_a_variable_with_a_telling_name_loses_its_value() -> None:
    """Whatever the value looks like."""
    environment = replace(example.ENVIRONMENT, variables={"HF_TOKEN": "x1", "TF32": "1"})
    found = redact(replace(example.EMPTY, environment=environment), IDENTITY).environment
    assert found is not None
    assert found.variables == {"HF_TOKEN": "<secret>", "TF32": "1"}


def test_the_example_keeps_everything_but_the_uuid() -> None:
    """Redaction takes nothing from a report that gives nobody away."""
    gpus = tuple(replace(gpu, uuid="") for gpu in example.ENVIRONMENT.gpus)
    expected = replace(example.H200, environment=replace(example.ENVIRONMENT, gpus=gpus))
    assert redact(example.H200, IDENTITY) == expected


def test_redacting_twice_changes_nothing() -> None:
    """What takes a secret's place is no secret."""
    for text, _ in SECRETS.values():
        assert SCRUB(SCRUB(text)) == SCRUB(text)


def test_this_host_is_known() -> None:
    """At least a home folder and a host name are found on any machine."""
    identity = Identity.of_this_host()
    assert identity.hosts
    assert identity.homes


def _everywhere(report: Report, text: str) -> Report:
    """The report with `text` behind every string that is not a literal, keys of free maps included."""
    fixed = {"kind", "fact", "storage", "mask", "passes", "question", "by", "verdict", "ratio"}

    def plant(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            free = key in ("variables", "flags")
            return {(f"{k} {text}" if free else k): plant(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [plant(item, key) for item in value]
        planted = isinstance(value, str) and key not in fixed and value not in ("inf", "nan")
        return f"{value} {text}" if planted else value

    return decode(Report, plant(encode(report)), {Mask: masks.parse})


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_survives_in_any_view(name: str) -> None:
    """Planted into every string of a session, it is in none of the four views."""
    text, telling = SECRETS[name]
    report = redact(_everywhere(example.KINDS, text), IDENTITY)
    document = compose.full(report)
    views = (
        terminal.text(document, 4000),
        markdown.render(document),
        html.render(document, "t"),
        json_view.dumps(json_view.full(report)),
        json_view.dumps({"session": encode(report)}),
    )
    assert [view for view in views if telling in view] == []


_WORDS = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SECRETS)), _WORDS, _WORDS)
def test_a_secret_is_gone_in_any_company(name: str, before: str, after: str) -> None:
    """Between blanks, whatever stands around it."""
    text, telling = SECRETS[name]
    if telling not in before + after:
        assert telling not in SCRUB(f"{before} {text} {after}")


@settings(max_examples=200, deadline=None)
@given(st.ip_addresses(v=4).map(str).filter(lambda a: a not in ("10.3.9.90",)), _WORDS)
def test_any_ipv4_address_is_gone(address: str, after: str) -> None:
    """Every address in the words that logs use for it."""
    assert address not in SCRUB(f"connect to {address}:443 {after.replace(address, '')}")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6, "a." * 10**5, "eyJ-" * 10**5, "token" * 10**5, "/site" * 10**5,
        "1.2.3." * 10**5, "a:" * 10**5, "\x1b]" * 10**5, "-----BEGIN A PRIVATE KEY-----" * 10**4,
        "A_" * 10**5, "a@b." * 10**5, "://" * 10**5, "serial " * 10**5, "\x1b[" * 10**5,
    ],
)  # fmt: skip
def test_a_hostile_string_costs_little(text: str) -> None:
    """No pattern runs away: a second is a hundred times what it takes."""
    start = time.perf_counter()
    SCRUB(text)
    assert time.perf_counter() - start < 1.0
