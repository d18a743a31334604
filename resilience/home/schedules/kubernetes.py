"""Turn a job into a CronJob of Kubernetes, the claim for its reports, and the Containerfile of its image."""

from __future__ import annotations

import json
from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, LIMIT_S, Job

_USER = 10001
"""A uid that no image gives a meaning."""


def files(job: Job) -> Mapping[str, str]:
    """Return the objects and the Containerfile. The container is nobody, writes only its reports and a scratch folder."""
    env = "".join(
        f"                - name: {name}\n"
        "                  valueFrom:\n"
        "                    secretKeyRef:\n"
        f"                      name: {job.name}\n"
        f"                      key: {name}\n"
        for name in job.secrets
    )
    return {
        f"{job.name}.yaml": (
            f"# To use it: podman build -t REGISTRY/{job.name} -f Containerfile . && podman push REGISTRY/{job.name},\n"
            f"# kubectl create secret generic {job.name} --from-env-file={job.secrets_file}, kubectl apply -f {job.name}.yaml\n"
            "apiVersion: v1\n"
            "kind: PersistentVolumeClaim\n"
            "metadata:\n"
            f"  name: {job.name}-outputs\n"
            "spec:\n"
            "  accessModes: [ReadWriteOnce]\n"
            "  resources:\n"
            "    requests:\n"
            "      storage: 1Gi\n"
            "---\n"
            "apiVersion: batch/v1\n"
            "kind: CronJob\n"
            "metadata:\n"
            f"  name: {job.name}\n"
            "spec:\n"
            f'  schedule: "*/{EVERY_MINUTES} * * * *"\n'
            "  concurrencyPolicy: Forbid\n"
            "  startingDeadlineSeconds: 60\n"
            "  successfulJobsHistoryLimit: 1\n"
            "  failedJobsHistoryLimit: 3\n"
            "  jobTemplate:\n"
            "    spec:\n"
            f"      activeDeadlineSeconds: {LIMIT_S}\n"
            "      backoffLimit: 0\n"
            "      template:\n"
            "        spec:\n"
            "          restartPolicy: Never\n"
            "          automountServiceAccountToken: false\n"
            "          securityContext:\n"
            "            runAsNonRoot: true\n"
            f"            runAsUser: {_USER}\n"
            f"            fsGroup: {_USER}\n"
            "            seccompProfile:\n"
            "              type: RuntimeDefault\n"
            "          containers:\n"
            "            - name: resilience\n"
            f"              image: REGISTRY/{job.name}\n"
            f"              args: {json.dumps([*job.words, '--out', '/outputs'])}\n"
            "              env:\n"
            "                - name: HOME\n"
            "                  value: /tmp\n"
            "                - name: RESILIENCE_STATE\n"
            "                  value: /tmp/resilience\n"
            f"{env}"
            "              securityContext:\n"
            "                allowPrivilegeEscalation: false\n"
            "                readOnlyRootFilesystem: true\n"
            "                capabilities:\n"
            "                  drop: [ALL]\n"
            "              resources:\n"
            "                requests:\n"
            "                  cpu: 250m\n"
            "                  memory: 512Mi\n"
            "                limits:\n"
            "                  memory: 1Gi\n"
            "              volumeMounts:\n"
            "                - name: outputs\n"
            "                  mountPath: /outputs\n"
            "                - name: scratch\n"
            "                  mountPath: /tmp\n"
            "          volumes:\n"
            "            - name: outputs\n"
            "              persistentVolumeClaim:\n"
            f"                claimName: {job.name}-outputs\n"
            "            - name: scratch\n"
            "              emptyDir: {}\n"
        ),
        "Containerfile": (
            "FROM python:3.12-slim\n"
            f"RUN python -m pip install --no-cache-dir '{job.install}' && useradd --uid {_USER} --no-create-home resilience\n"
            "WORKDIR /runbook\n"
            + (f"COPY {job.config} /runbook/{job.config}\n" if job.config else "")
            + f"USER {_USER}\n"
            'ENTRYPOINT ["resilience"]\n'
        ),
    }
