"""Text. For finding (here): bigrams of Chinese, words of other scripts, pinyin with its initials.

For reading official papers: `files.text_of` (a file as text), `reader.read` (a tree of clauses), `elements.elements` (what its sentences
say). Those are imported by name: every process finds, few read, and their tables of patterns take a tenth of a second to compile.
"""
from .tokens import document_tokens, initials, normal, pinyin, query_expression, query_tokens

__all__ = ["document_tokens", "initials", "normal", "pinyin", "query_expression", "query_tokens"]
