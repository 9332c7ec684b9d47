"""Scenes in words: vocabulary, rule parser, grammar of made sentences, knowledge base, retrieval, captions."""
