"""Text: finding (bigrams of Chinese, words of other scripts, pinyin with its initials) and reading official papers into clauses."""
from .elements import elements
from .files import BadPaper, text_of
from .reader import Clause, Paper, read
from .tokens import document_tokens, initials, normal, pinyin, query_tokens

__all__ = ["BadPaper", "Clause", "Paper", "document_tokens", "elements", "initials", "normal", "pinyin", "query_tokens", "read", "text_of"]
