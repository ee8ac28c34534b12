"""Who may charge here now: one decision for every protocol."""

from chargehub.authorization.decision import (
    Authorization,
    AuthorizationStatus,
    Place,
    TokenFact,
    decide,
)
from chargehub.authorization.store import (
    AuthorizationFacts,
    find_place,
    find_token_fact,
    read_authorization_facts,
)

__all__ = [
    "Authorization",
    "AuthorizationFacts",
    "AuthorizationStatus",
    "Place",
    "TokenFact",
    "decide",
    "find_place",
    "find_token_fact",
    "read_authorization_facts",
]
