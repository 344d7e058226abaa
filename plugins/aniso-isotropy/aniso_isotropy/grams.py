"""CKA of any two layers, of one model or of two, from the inner products of documents that runs kept."""

from functools import reduce

from aniso_core.errors import AnisoError
from aniso_core.records import Array, Profile
from aniso_core.text import visible

GRAM = "document-gram"
"""The metric that keeps what CKA is computed from."""

_LEAST = 4  # the unbiased estimate divides by n - 3


def cka(
    a: Profile, b: Profile | None = None, *, stream: str = "residual", tokens: str = "all", debiased: bool = True
) -> Array:
    """Return the linear CKA of each layer of `a` with each of `b` (None: of `a`), float64[layers of a, layers of b].

    Layers are those of `a.kept("document-gram", stream, tokens)`, and likewise for `b`. The states that are compared
    are the means of documents, each counting alike. `debiased` is by the unbiased HSIC (Song et al. 2012; Nguyen et al.
    2010.15327), at most 1 and near 0 for layers that have nothing in common; without, CKA is 0 to 1 and too large where
    documents are few (Kornblith et al. 1905.00414). NaN where the means of a layer do not differ. Raises AnisoError
    where a run kept nothing, both are of different texts, or documents are fewer than four.
    """
    import numpy as np

    centre = _u_centred if debiased else _centred
    found = common_grams(a, a if b is None else b, stream, tokens)
    rows, columns = (np.array([centre(gram).ravel() for gram in grams]) for grams in found)
    sizes = np.outer(np.linalg.norm(rows, axis=1), np.linalg.norm(columns, axis=1))
    return np.asarray(np.divide(rows @ columns.T, sizes, out=np.full_like(sizes, np.nan), where=sizes > 0))


def common_grams(a: Profile, b: Profile, stream: str, tokens: str) -> tuple[list[Array], list[Array]]:
    """Return for each layer of `a`, and of `b`, the inner products of the documents that all kept, float64[n, n].

    Raises AnisoError as `cka` does.
    """
    import numpy as np

    held = [profile.kept(GRAM, stream, tokens) for profile in (a, b)]
    texts = {profile.prompts.sha256 for profile in (a, b) if profile.prompts}
    if len(texts) > 1:
        names = " and ".join(visible(profile.model.name) for profile in (a, b))
        message = f"{names} were measured on different texts, and CKA compares documents; measure both on one text."
        raise AnisoError(message)
    common = reduce(np.intersect1d, (array[0] for arrays in held for array in arrays.values()))
    if len(common) < _LEAST:
        message = (
            f"CKA needs {_LEAST} documents with {tokens} tokens at every layer and found {len(common)}; measure more "
            "documents."
        )
        raise AnisoError(message)
    rows, columns = ([_among(array, common) for array in arrays.values()] for arrays in held)
    return rows, columns


def _among(array: Array, common: Array) -> Array:
    """Return the inner products of the documents that all layers have in `common`, float64[n, n]."""
    import numpy as np

    place = np.searchsorted(array[0], common)
    return np.asarray(array[1:][np.ix_(place, place)])


def _centred(gram: Array) -> Array:
    gram = gram - gram.mean(axis=0)
    gram -= gram.mean(axis=1, keepdims=True)
    return gram


def _u_centred(gram: Array) -> Array:
    """Return the matrix float64[n, n] whose inner product with another is n (n - 3) times the unbiased HSIC of both."""
    import numpy as np

    n = len(gram)
    gram = gram - np.diag(gram.diagonal())
    sums = gram.sum(axis=0) / (n - 2)
    centred = gram - sums - sums[:, None] + gram.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return np.asarray(centred)
