"""The one SparkSession of this process: a driver and two executor processes on this machine.

Use it as

    pytestmark = [pytest.mark.engines, pytest.mark.xdist_group("spark")]

    def test_x():
        spark = spark_cluster.session()

The first call takes some seconds; it skips the test, with the reason, where PySpark or Java is missing, and fails it
where LOYALTY_NO_SKIPS names "spark".
"""

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile
import warnings

import pyarrow as pa

from lacking import lacking

OLDEST_JAVA = 17
LOOPBACK = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}  # or the executors die
SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "2",
    "spark.sql.session.timeZone": "Pacific/Auckland",  # nothing may depend on it
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.driver.memory": "1g",
    "spark.log.level": "OFF",
}


def session():
    """Return this process's session, started on the first call."""
    started = _started()
    if isinstance(started, str):
        lacking("spark", started)
    return started


def frame(table, partitions=3):
    """Return a pandas frame or Arrow table as a Spark DataFrame that lies in several partitions."""
    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, preserve_index=False)
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True)  # times without a zone stay without
    return session().createDataFrame(table, schema=schema).repartition(partitions)


@functools.cache
def _started():
    """Return the session, or as text why there is none."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        return "pyspark is missing: pip install 'loyalty-analytics[spark]'"
    java = _java()
    if java < OLDEST_JAVA:
        return f"Java {OLDEST_JAVA} is missing (found: {java or 'none'}): apt-get install openjdk-17-jre-headless"
    os.environ.update(LOOPBACK)
    folder = tempfile.mkdtemp(prefix="loyalty-spark-")
    os.environ["SPARK_WORKER_DIR"] = folder  # else a folder `work` appears beside Spark
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("loyalty tests")
    for name, value in {**SETTINGS, "spark.local.dir": folder, "spark.sql.warehouse.dir": folder}.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the launcher of Java leaves a file open
        spark = builder.getOrCreate()
    atexit.register(_stop, spark, folder)
    return spark


def _stop(spark, folder):
    """Stop the session, its executors, and what they left on disk."""
    spark.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _java():
    """Return the major version of Java, 0 where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(os.path.join(home, "bin", "java") if home else "java")  # noqa: PTH118
    if program is None:
        return 0
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0
