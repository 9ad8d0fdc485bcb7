"""METHODS: the registry of methods. All that scripts need of one stands in its class, see model/method.py."""
from model.baselines.bgdh import BGDH
from model.baselines.cnnh import CNNH
from model.baselines.dqn import DQN
from model.baselines.dtq import DTQ
from model.baselines.ninh import NINH
from model.baselines.pqn import PQN
from model.baselines.shallow import ITQ, LOPQ, OPQ, PQ, SDH, SH
from model.baselines.ssdh import SSDH
from model.baselines.subic import SUBIC
from model.classifier import Classifier
from model.gpq import GPQ
from model.spq import SPQ
from model.wsdhq import WDHT, WSDHQ

METHODS = {method.name: method for method in (
    GPQ, Classifier, SPQ, WSDHQ, WDHT, PQ, OPQ, LOPQ, ITQ, SH, SDH, PQN, SUBIC, DQN, DTQ, SSDH, BGDH, CNNH, NINH)}
