"""Text for finding: bigrams of Chinese, words of other scripts, and pinyin with its initials."""
from .tokens import document_tokens, initials, normal, pinyin, query_tokens

__all__ = ["document_tokens", "initials", "normal", "pinyin", "query_tokens"]
