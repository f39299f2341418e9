"""What is said and written when an account has no text of its own."""

from __future__ import annotations

from collections.abc import Mapping

from dialer.errors import FieldError

#: By language, without its country.
TEXTS: Mapping[str, str] = {
    "ar": "رمز التحقق الخاص بك هو {otp}.",
    "de": "Ihr Bestätigungscode lautet: {otp}.",
    "en": "Your verification code is {otp}.",
    "es": "Su código de verificación es {otp}.",
    "fi": "Vahvistuskoodisi on {otp}.",
    "fr": "Votre code de vérification est {otp}.",
    "hi": "आपका सत्यापन कोड है {otp}.",
    "it": "Il suo codice di verifica è {otp}.",
    "nl": "Uw verificatiecode is {otp}.",
    "pl": "Twój kod weryfikacyjny to {otp}.",
    "pt": "O seu código de verificação é {otp}.",
    "ru": "Ваш код подтверждения: {otp}.",
    "sv": "Din verifieringskod är {otp}.",
    "tr": "Doğrulama kodunuz: {otp}.",
    "uk": "Ваш код підтвердження: {otp}.",
}


def default_text(language: str) -> str:
    """The text of a language such as `en-US`. Raises `FieldError`."""
    text = TEXTS.get(language.partition("-")[0].lower())
    if text is None:
        raise FieldError(
            "speech.language",
            f"speech.language: there is no text of ours in this language (there is in {', '.join(TEXTS)}): name one of "
            "your own with template_id.",
        )
    return text
