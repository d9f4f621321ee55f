"""TLS contexts for both directions; there is no way to switch verification off."""

from __future__ import annotations

import ssl

from fairlead.errors import ConfigError


def client_context(
    ca_file: str | None = None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """A context that verifies chain and name of a provider, TLS 1.2 or newer.

    Args:
        ca_file: PEM certificates to trust instead of the system's.
        cert_file: our own certificate, where a provider wants one.
        key_file: its key, if that is not in `cert_file`.

    Raises:
        ConfigError: a file cannot be read or is not PEM.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cannot load the TLS files {_names(ca_file, cert_file, key_file)}; give PEM files that can be read",
            detail=str(error),
        ) from error
    return _hardened(context)


def server_context(cert_file: str, key_file: str | None = None) -> ssl.SSLContext:
    """A context for our own listener, TLS 1.2 or newer.

    Raises:
        ConfigError: a file cannot be read or is not PEM.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert_file, key_file)
    except OSError as error:
        raise ConfigError(
            f"cannot load the TLS files {_names(cert_file, key_file)}; give a PEM certificate chain and its key",
            detail=str(error),
        ) from error
    return _hardened(context)


def is_about_certificates(error: BaseException | None) -> bool:
    """Whether the other end refuses the certificate that we sent, or that we sent none."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason)


def certificate_wanted(where: str) -> str:
    """What a caller is told then."""
    return f"{where} does not accept our certificate, or wants one; set `tls.cert` and `tls.key` to one that it knows"


def _hardened(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _names(*files: str | None) -> str:
    return ", ".join(repr(name) for name in files if name is not None)
