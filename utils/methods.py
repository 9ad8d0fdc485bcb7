"""METHODS: the registry of methods. All that scripts need of one stands in its class, see model/method.py."""
from gpq.model.baselines.bgdh import BGDH
from gpq.model.baselines.cnnh import CNNH
from gpq.model.baselines.dqn import DQN
from gpq.model.baselines.dtq import DTQ
from gpq.model.baselines.ninh import NINH
from gpq.model.baselines.pqn import PQN
from gpq.model.baselines.shallow import ITQ, LOPQ, OPQ, PQ, SDH, SH
from gpq.model.baselines.ssdh import SSDH
from gpq.model.baselines.subic import SUBIC
from gpq.model.classifier import Classifier
from gpq.model.gpq import GPQ
from gpq.model.spq import SPQ
from gpq.model.wsdhq import WDHT, WSDHQ

METHODS = {method.name: method for method in (
    GPQ, Classifier, SPQ, WSDHQ, WDHT, PQ, OPQ, LOPQ, ITQ, SH, SDH, PQN, SUBIC, DQN, DTQ, SSDH, BGDH, CNNH, NINH)}
