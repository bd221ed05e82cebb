"""What ``tidemark wrap`` hands to the processes that BentoML starts: they share nothing with it but their environment."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from config.errors import UsageError
from config.settings import Settings
from config.spec import read_spec
from producers.emitter import Emitter, EmitterError
from schemas.event import event_schema
from schemas.store import FileSchemaStore

VARIABLE = "TIDEMARK_WRAP"
FLUSH_PATH = "/tidemark/flush"


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """``service`` is ``module:name``. ``paths`` are its prediction routes, empty for every POST that takes and gives JSON."""

    service: str
    model: str
    model_version: str
    paths: tuple[str, ...] = ()
    sample_rate: float = 1.0
    redact: tuple[str, ...] = ()
    spill: str | None = None
    trust_headers: bool = False

    def to_environment(self) -> dict[str, str]:
        """The variable that carries them."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> WrapOptions:
        """As ``to_environment`` wrote them.

        Raises:
            UsageError: there are none.
        """
        text = os.environ.get(VARIABLE)
        if text is None:
            raise UsageError(f"{VARIABLE} is not set", "start the service with `tidemark wrap MODULE:SERVICE`")
        given = json.loads(text)
        return cls(**{**given, "paths": tuple(given["paths"]), "redact": tuple(given["redact"])})


def open_emitter(options: WrapOptions, settings: Settings) -> Emitter:
    """The emitter of the wrapped service; its event schema is put where the worker finds it.

    Raises:
        SpecError: the model has no spec.
        UsageError: the emitter cannot be built so.
    """
    spec = read_spec(settings.specs_dir / f"{options.model}.yaml")
    writer = FileSchemaStore(settings.under_home("schemas")).register(spec.model, event_schema(spec))
    try:
        return Emitter(
            model=spec.model,
            model_version=options.model_version,
            schema=writer.schema,
            bootstrap_servers=settings.brokers,
            topic=settings.predictions_topic,
            max_event_bytes=settings.max_record_bytes,
            sample_rate=options.sample_rate,
            redact=options.redact,
            spill=options.spill,
        )
    except EmitterError as error:
        raise UsageError(f"the emitter of {options.model} cannot be built: {error}", "correct the option it names") from error
